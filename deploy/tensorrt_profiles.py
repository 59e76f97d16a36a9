"""Shapes that a TensorRT engine is built for, from the lengths of the training texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketbert.compress.config import STRICT

# Larger batches are run in pieces: what is built for them takes memory on the device.
MAX_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Shapes (batch, tokens) of one optimization profile.

    Attributes:
        min: The smallest that it takes.
        opt: What TensorRT chooses its kernels for.
        max: The largest that it takes.
    """

    __pydantic_config__ = STRICT
    min: tuple[int, int]
    opt: tuple[int, int]
    max: tuple[int, int]

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Say whether an input of this shape fits."""
        batch, tokens = shape
        return batch <= self.max[0] and tokens <= self.max[1]


def profiles_for(length_histogram: Sequence[int], max_length: int) -> tuple[Profile, ...]:
    """Return a profile for the single texts that are common, then one that takes everything.

    Args:
        length_histogram: Texts that have 0, 1, 2 ... tokens.
        max_length: Longest input in tokens.
    """
    lengths = np.repeat(np.arange(len(length_histogram)), length_histogram)
    shares = np.percentile(lengths, [50, 90, 99], method="inverted_cdf")
    common, usual, long = (max(1, int(length)) for length in shares)
    every = Profile(min=(1, 1), opt=(1, long), max=(MAX_BATCH, max_length))
    if usual == max_length:
        return (every,)
    return (Profile(min=(1, 1), opt=(1, common), max=(1, usual)), every)

"""A number for a text, or for two."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from .task import Task


@dataclass(frozen=True)
class Number:
    """The answer for one text.

    Attributes:
        value: On the scale of the labels that were learned from.
    """

    value: float


class TextRegression(Task):
    """The logit is the answer."""

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Number]:
        """Return the number of each text."""
        return [Number(float(row[0])) for row in logits]

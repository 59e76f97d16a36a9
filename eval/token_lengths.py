"""How long texts are for a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.deploy.bundle import TOKENIZER
from pocketbert.deploy.tokenizer import Tokenizer

BATCH_SIZE = 16


def token_lengths(folder: Path, texts: Sequence[Text], max_length: int) -> NDArray[np.int64]:
    """Count tokens, special tokens included and cut at the longest input. Shape: (texts,).

    Args:
        folder: Holds `tokenizer.json`.
        texts: The texts.
        max_length: Longest input in tokens.
    """
    tokenizer = Tokenizer(folder / TOKENIZER, max_length)
    return np.concatenate(
        [
            tokenizer.encode(texts[start : start + BATCH_SIZE])["attention_mask"].sum(axis=1)
            for start in range(0, len(texts), BATCH_SIZE)
        ]
    )

"""A text in another language."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from .task import Task


@dataclass(frozen=True)
class Translation:
    """The answer for one text.

    Attributes:
        text: The text in the other language.
        score: Mean log-probability of its tokens, the end included; 0 is certain.
    """

    text: str
    score: float


class Translations(Task):
    """A text is written, not chosen.

    What stands for logits is one column of numbers a text: its score, then the code points of its
    characters, so that answers are kept, compared and padded as those of other tasks.
    """

    named = False
    generates = True

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Translation]:
        """Return the translation of each text."""
        return [from_numbers(rows) for rows in logits]

    def weight(self, logits: NDArray[np.float32]) -> float:
        """Return the size of the score."""
        return float(abs(logits[0, 0]))


def as_numbers(text: str, score: float) -> NDArray[np.float32]:
    """Return a translation as numbers. Shape: (1 + characters, 1)."""
    return np.array([[score], *([ord(letter)] for letter in text)], dtype=np.float32)


def from_numbers(rows: NDArray[np.float32]) -> Translation:
    """Return the translation that numbers stand for; NaN behind the end is left out."""
    kept = rows[~np.isnan(rows[:, 0]), 0]
    return Translation("".join(chr(int(number)) for number in kept[1:]), float(kept[0]))

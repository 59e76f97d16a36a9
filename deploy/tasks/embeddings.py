"""A vector for a text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from .task import Task


@dataclass(frozen=True)
class Embedding:
    """The answer for one text.

    Attributes:
        vector: Its numbers; it has length 1. `Engine.logits` gives those of many texts as an array.
    """

    vector: tuple[float, ...]

    def similarity(self, other: "Embedding") -> float:
        """Return the cosine of both vectors, -1..1."""
        return float(np.dot(self.vector, other.vector))


class Embeddings(Task):
    """What the model says is the answer: it pools and normalises itself."""

    named = False

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Embedding]:
        """Return the vector of each text."""
        return [Embedding(tuple(row.tolist())) for row in logits]

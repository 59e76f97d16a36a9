"""One label a text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from .task import Task


@dataclass(frozen=True)
class Classification:
    """The answer for one text.

    Attributes:
        label: The most probable label.
        score: Its probability, 0..1.
        probabilities: Probability of every label.
    """

    label: str
    score: float
    probabilities: dict[str, float]


class TextClassification(Task):
    """The label with the largest logit; probabilities by softmax."""

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Classification]:
        """Return the label of each text."""
        rows = logits.tolist() if isinstance(logits, np.ndarray) else map(list, logits)
        return [self._answer(row) for row in rows]

    def _answer(self, logits: list[float]) -> Classification:
        # One plain loop, no numpy: the model has pushed everything else out of the caches, so that
        # what a call costs is how many functions it goes through, not what they compute.
        highest, total = max(logits), 0.0
        probabilities = {}
        for label, logit in zip(self.labels, logits, strict=True):
            probabilities[label] = exponential = math.exp(logit - highest)
            total += exponential
        for label in self.labels:
            probabilities[label] /= total
        best = self.labels[logits.index(highest)]
        return Classification(best, probabilities[best], probabilities)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities. Shape: that of the logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result

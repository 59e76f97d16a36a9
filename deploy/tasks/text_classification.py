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
        # Softmax without numpy: for a few labels its calls cost more than they compute.
        highest = max(logits)
        exponentials = [math.exp(logit - highest) for logit in logits]
        total = sum(exponentials)
        probabilities = [exponential / total for exponential in exponentials]
        score = max(probabilities)
        label = self.labels[probabilities.index(score)]
        return Classification(label, score, dict(zip(self.labels, probabilities, strict=True)))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities. Shape: that of the logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result

"""One label a text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    def answers(self, logits: NDArray[np.float32]) -> Sequence[Classification]:
        """Return the label of each text."""
        return [self._answer(row) for row in softmax(logits)]

    def _answer(self, probabilities: NDArray[np.float32]) -> Classification:
        best = int(probabilities.argmax())
        by_label = dict(zip(self.labels, probabilities.tolist(), strict=True))
        return Classification(self.labels[best], float(probabilities[best]), by_label)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities. Shape: that of the logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result

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
        return [self._answer(row.tolist()) for row in logits]

    def _answer(self, logits: list[float]) -> Classification:
        # Softmax without numpy: for a few labels its calls cost more than they compute.
        highest = max(logits)
        exponentials = [math.exp(logit - highest) for logit in logits]
        total = sum(exponentials)
        by_label = {
            label: exponential / total
            for label, exponential in zip(self.labels, exponentials, strict=True)
        }
        best = max(by_label, key=by_label.__getitem__)
        return Classification(best, by_label[best], by_label)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities. Shape: that of the logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result

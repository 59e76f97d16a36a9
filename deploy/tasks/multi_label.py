"""Any number of labels a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.thresholds import best_thresholds
from pocketbert.compress.word_tags import Word

from .task import Task


@dataclass(frozen=True)
class Labels:
    """The answer for one text.

    Attributes:
        labels: Those whose probability reaches their threshold, the most probable first.
        probabilities: Probability of every label.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]


class MultiLabelClassification(Task):
    """A sigmoid and a threshold for each label."""

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Labels]:
        """Return the labels of each text."""
        return [self._answer(row) for row in logits]

    def best_thresholds(
        self,
        logits: Sequence[NDArray[np.float32]],
        words: Sequence[Sequence[Word]],
        texts: Sequence[Text],
        labels: NDArray[Any],
    ) -> list[float]:
        """Choose those with the largest F1 of each label."""
        return best_thresholds(np.stack(logits), labels)

    def _answer(self, logits: NDArray[np.float32]) -> Labels:
        given = (n for n in np.argsort(-logits) if logits[n] >= self.thresholds[n])
        probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return Labels(
            tuple(self.labels[n] for n in given),
            dict(zip(self.labels, probabilities.tolist(), strict=True)),
        )

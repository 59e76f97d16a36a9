"""Accuracy, the metric of one label a text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ..intervals import Interval, mcnemar, paired_difference, proportion, retention
from .measure import Measure


class Accuracy(Measure):
    """Share of the texts whose label is right; a proportion, so it has better intervals."""

    name = "accuracy"

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return 1 for a right label. Shape: (examples, 1)."""
        right: NDArray[np.bool_] = logits.argmax(axis=1) == truth
        return right.astype(np.float64)[:, None]

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the only mean."""
        return np.asarray(means[..., 0])

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which examples get the same label."""
        return np.asarray(logits.argmax(axis=1) == other.argmax(axis=1))

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """KL divergence from the other's probabilities, in nats."""
        ours, theirs = log_softmax(logits, axis=1), log_softmax(other, axis=1)
        return float((np.exp(theirs) * (theirs - ours)).sum(axis=1).mean())

    def interval(
        self, statistics: NDArray[np.float64], confidence: float, resamples: int
    ) -> Interval:
        """Wilson's interval."""
        return proportion(_hits(statistics), confidence)

    def difference(
        self,
        ours: NDArray[np.float64],
        theirs: NDArray[np.float64],
        confidence: float,
        resamples: int,
    ) -> Interval:
        """Paired bootstrap."""
        return paired_difference(_hits(ours), _hits(theirs), confidence, resamples)

    def retention(
        self,
        ours: NDArray[np.float64],
        teacher: NDArray[np.float64],
        confidence: float,
        resamples: int,
    ) -> Interval:
        """Paired bootstrap; a teacher that is never right counts as right once."""
        return retention(_hits(ours), _hits(teacher), confidence, resamples)

    def p_value(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
        """McNemar's exact test."""
        return mcnemar(_hits(ours), _hits(theirs))


def _hits(statistics: NDArray[np.float64]) -> NDArray[np.bool_]:
    return statistics[:, 0] > 0

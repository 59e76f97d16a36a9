"""Pearson's correlation, the metric of a number for each text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .measure import Measure

SAME = 0.1  # standard deviations


class Pearson(Measure):
    """Correlation with the labels; a function of five means, so that resampling is cheap."""

    name = "Pearson correlation"

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return five numbers for each example. Shape: (examples, 5)."""
        return correlation_statistics(logits[:, 0].astype(np.float64), truth.astype(np.float64))

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the correlation; 0 where one of both is constant."""
        return correlation_of_means(means)

    def further(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Spearman's rank correlation; 0 where one of both is constant."""
        found = stats.spearmanr(logits[:, 0], truth).statistic if np.ptp(logits) > 0 else 0.0
        return {"spearman": float(found)}

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return where both differ by at most a tenth of the other's standard deviation."""
        return np.asarray(np.abs(logits - other)[:, 0] <= SAME * other.std())

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Squared error."""
        return float(np.square(logits - other).mean())


def correlation_statistics(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return both numbers, their squares and their product. Shape: (examples,) -> (examples, 5)."""
    return np.stack([ours, theirs, ours**2, theirs**2, ours * theirs], axis=1)


def correlation_of_means(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation; 0 where one of both is constant. Shape: (..., 5) -> (...)."""
    ours, theirs, our_squares, their_squares, products = np.moveaxis(means, -1, 0)
    spread = np.sqrt(
        np.maximum(our_squares - ours**2, 0) * np.maximum(their_squares - theirs**2, 0)
    )
    covariance = products - ours * theirs
    return np.asarray(np.where(spread > 0, covariance / np.where(spread > 0, spread, 1), 0.0))

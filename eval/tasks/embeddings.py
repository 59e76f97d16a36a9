"""How well vectors of texts order pairs, and how well they find documents."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.compared import document_ranks, pair_cosines, ranked

from .measure import Measure
from .text_regression import correlation_of_means, correlation_statistics

SAME = 0.95  # cosine
FURTHER_RANKS = (5, 10)


class Vectors(Measure):
    """What both metrics share; texts are compared, so they are measured as a whole."""

    of_single_examples = False

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return where both vectors have a cosine of at least 0.95."""
        return np.asarray((logits * other).sum(axis=1) >= SAME)

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """One minus the mean cosine."""
        return 1 - float((logits * other).sum(axis=1).mean())


class Spearman(Vectors):
    """Rank correlation of the cosines of pairs with their scores.

    Ranks are taken among all pairs, once; resampling pairs takes their ranks along.
    """

    name = "spearman"

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return five numbers for each pair. Shape: (pairs, 5)."""
        cosines, scores = pair_cosines(logits, truth)
        return correlation_statistics(ranked(cosines), ranked(scores))

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the correlation; 0 where one of both is constant."""
        return correlation_of_means(means)


class Recall(Vectors):
    """Share of the queries whose document is the nearest of all documents."""

    name = "recall@1"

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return 1 for each query whose document comes first. Shape: (queries, 1)."""
        first: NDArray[np.bool_] = document_ranks(logits, truth) == 1
        return first.astype(np.float64)[:, None]

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the only mean."""
        return np.asarray(means[..., 0])

    def further(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Recall among the nearest few, and the mean reciprocal rank."""
        ranks = document_ranks(logits, truth)
        found = {f"recall@{k}": float((ranks <= k).mean()) for k in FURTHER_RANKS}
        return found | {"mean reciprocal rank": float((1 / ranks).mean())}

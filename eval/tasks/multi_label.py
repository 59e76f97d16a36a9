"""F1 over all labels, the metric of any number of labels a text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measure import Measure


class MicroF1(Measure):
    """F1 over all labels of all texts; logits come less their thresholds."""

    name = "F1"

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return right, given and true labels of each text. Shape: (examples, 3)."""
        given, wanted = logits >= 0, truth > 0
        return np.stack([(given & wanted).sum(1), given.sum(1), wanted.sum(1)], axis=1).astype(
            np.float64
        )

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return F1; 0 where no label is given or true."""
        return f1_of_means(means)

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which texts get the same labels."""
        return np.asarray(((logits >= 0) == (other >= 0)).all(axis=1))

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """KL divergence of every label's probability, in nats, summed over labels."""
        ours, theirs = logits.astype(np.float64), other.astype(np.float64)
        chance = 1 / (1 + np.exp(-theirs))
        yes = np.logaddexp(0, -ours) - np.logaddexp(0, -theirs)
        no = np.logaddexp(0, ours) - np.logaddexp(0, theirs)
        return float((chance * yes + (1 - chance) * no).sum(axis=1).mean())


def f1_of_means(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F1, given means of right, given and true. Shape: (..., 3) -> (...)."""
    right, given, true = np.moveaxis(means, -1, 0)
    both = given + true
    return np.asarray(2 * right / np.where(both > 0, both, 1))

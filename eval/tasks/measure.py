"""What every metric is: a function of means over examples, so that resampling examples is cheap."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import Examples

from ..intervals import Interval, bootstrap


class Measure(ABC):
    """A task's metric; higher is better.

    What an example adds to it are its statistics, shape (examples, statistics); the metric is a
    function of their means. Resampling examples gives intervals; two artifacts are resampled in
    pairs, because both answered the same examples.

    Args:
        labels: What the logits are called.

    Attributes:
        name: In reports.
        of_single_examples: What an example adds does not depend on the others; else `statistics`
            are of what is compared, such as pairs.
    """

    name: str
    of_single_examples = True

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

    def truth(self, examples: Examples, tokenizer: Path) -> NDArray[Any]:
        """Return what answers are compared with. Shape: (examples, ...).

        Args:
            examples: Labelled texts.
            tokenizer: The model's `tokenizer.json`.
        """
        return examples.labels

    def shape(self, truth: NDArray[Any]) -> tuple[int, ...]:
        """Return how many logits of each name there are: (examples,), or (examples, words)."""
        return truth.shape[:1]

    def further(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Return further metrics by name."""
        return {}

    @abstractmethod
    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return what every example adds. Shape: (examples, statistics).

        Args:
            logits: As `accuracy.predict` returns them. Shape: (examples, labels), or (examples,
                words, labels).
            truth: As `truth` returns it. Shape: (examples, ...).
        """

    @abstractmethod
    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the metric, given means of the statistics. Shape: (..., statistics) -> (...)."""

    @abstractmethod
    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which examples get the same answer by both. Shape: (examples,)."""

    @abstractmethod
    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Return how far answers are from those of another model, a mean over the examples."""

    def largest_difference(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Return how far a logit is from another model's at most."""
        return float(np.nanmax(np.abs(logits - other)))

    def value(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> float:
        """Return the metric."""
        return float(self.of_means(self.statistics(logits, truth).mean(axis=0)))

    def interval(
        self, statistics: NDArray[np.float64], confidence: float, resamples: int
    ) -> Interval:
        """Return the metric with its bootstrap interval."""
        return bootstrap(
            partial(self._resampled, statistics), len(statistics), confidence, resamples
        )

    def difference(
        self,
        ours: NDArray[np.float64],
        theirs: NDArray[np.float64],
        confidence: float,
        resamples: int,
    ) -> Interval:
        """Return one artifact's metric minus another's, by paired bootstrap."""

        def difference(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            return self._resampled(ours, rows) - self._resampled(theirs, rows)

        return bootstrap(difference, len(ours), confidence, resamples)

    def retention(
        self,
        ours: NDArray[np.float64],
        teacher: NDArray[np.float64],
        confidence: float,
        resamples: int,
    ) -> Interval:
        """Return the share of the teacher's metric that is kept, by paired bootstrap."""

        def ratio(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            # A teacher that is no good has nothing to lose.
            least = 1 / len(ours)
            return self._resampled(ours, rows) / np.maximum(self._resampled(teacher, rows), least)

        return bootstrap(ratio, len(ours), confidence, resamples)

    def p_value(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
        """Return an exact p-value that both are equally good, where there is such a test."""
        return None

    def _resampled(
        self, statistics: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return self.of_means(statistics[rows].mean(axis=-2))

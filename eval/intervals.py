"""How sure a measured fraction, difference or ratio is.

A proportion gets Wilson's interval, which covers also near 1 where a bootstrap of few errors
collapses. Differences and ratios of two artifacts are resampled in pairs, because both answered
the same examples: what makes an example hard for one makes it hard for the other and cancels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SEED = 0
# Bounds the resampled indices that scipy holds at once, at any number of examples.
ELEMENTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A measured value and the interval that holds the true one with the stated confidence.

    Attributes:
        value: What was measured.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` cannot be told apart from what was measured."""
        return self.low <= value <= self.high


def proportion(hits: NDArray[np.bool_], confidence: float) -> Interval:
    """Fraction of True with Wilson's score interval (Wilson 1927).

    Args:
        hits: One entry an example, shape (examples,).
        confidence: Level of the interval.
    """
    test = stats.binomtest(int(hits.sum()), hits.size)
    interval = test.proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(hits.mean()), float(interval.low), float(interval.high))


def paired_difference(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], confidence: float, resamples: int
) -> Interval:
    """Accuracy of one artifact minus that of another, by paired bootstrap.

    Args:
        ours: Whether the first is right, shape (examples,).
        theirs: Whether the second is right on the same examples, shape (examples,).
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
    """
    return _paired_bootstrap(_difference, ours, theirs, confidence, resamples)


def retention(
    ours: NDArray[np.bool_], teacher: NDArray[np.bool_], confidence: float, resamples: int
) -> Interval:
    """Share of the teacher's accuracy that is kept, by paired bootstrap.

    Arguments as in `paired_difference`. A teacher that is never right counts as right once.
    """
    return _paired_bootstrap(_ratio, ours, teacher, confidence, resamples)


def percentile(
    values: NDArray[np.float64], percent: float, confidence: float, resamples: int
) -> Interval:
    """Percentile of repeated timings, by bootstrap over the texts.

    A text is drawn with all its rounds, because they resemble each other.

    Args:
        values: One row a round, one column a text, shape (rounds, texts).
        percent: Which percentile, 0 to 100.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
    """
    draw, texts = np.random.default_rng(SEED), values.shape[1]
    drawn = [
        np.percentile(values[:, draw.integers(texts, size=texts)], percent)
        for _ in range(resamples)
    ]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Interval(float(np.percentile(values, percent)), float(low), float(high))


def mcnemar(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value that both are right equally often (McNemar 1947).

    Args:
        ours: Whether the first is right, shape (examples,).
        theirs: Whether the second is right on the same examples, shape (examples,).
    """
    only_ours = int((ours & ~theirs).sum())
    only_theirs = int((theirs & ~ours).sum())
    if only_ours + only_theirs == 0:
        return 1.0
    return float(stats.binomtest(only_ours, only_ours + only_theirs, 0.5).pvalue)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    examples: int,
    confidence: float,
    resamples: int,
) -> Interval:
    """Percentile bootstrap over examples.

    Args:
        statistic: Takes numbers of examples, shape (..., examples), and returns what is measured
            on them, shape (...).
        examples: How many there are.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
    """
    draw = np.random.default_rng(SEED)
    at_once = max(1, ELEMENTS_AT_ONCE // examples)
    found = np.concatenate(
        [
            statistic(draw.integers(examples, size=(min(at_once, resamples - start), examples)))
            for start in range(0, resamples, at_once)
        ]
    )
    low, high = np.quantile(found, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(float(statistic(np.arange(examples))), float(low), float(high))


def _paired_bootstrap(
    statistic: Callable[..., NDArray[np.float64]],
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    confidence: float,
    resamples: int,
) -> Interval:
    pair = (ours.astype(np.float64), theirs.astype(np.float64))
    # BCa's jackknife needs examples x examples; percentile covers as well for these statistics.
    interval = stats.bootstrap(
        pair,
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, ELEMENTS_AT_ONCE // ours.size),
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(float(statistic(*pair)), float(interval.low), float(interval.high))


def _difference(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], axis: int = -1
) -> NDArray[np.float64]:
    return np.asarray(ours.mean(axis=axis) - theirs.mean(axis=axis))


def _ratio(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], axis: int = -1
) -> NDArray[np.float64]:
    return np.asarray(ours.sum(axis=axis) / np.maximum(theirs.sum(axis=axis), 1))

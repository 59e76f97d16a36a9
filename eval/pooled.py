"""Two methods compared over several seeds each: what is measured is the method, not one training.

A method's value is the mean over its seeds, and the examples are resampled in pairs. What the seeds
vary beyond what so many examples explain is the trainings' own share; it is drawn from Student's
t, because a handful of seeds resampled would look alike too often. With one seed that share is
unknown, and the interval is of that model alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .intervals import ELEMENTS_AT_ONCE, SEED, Interval
from .tasks import Measure


def pooled_difference(
    measure: Measure,
    ours: Sequence[NDArray[np.float64]],
    theirs: Sequence[NDArray[np.float64]],
    confidence: float,
    resamples: int,
) -> Interval:
    """The metric of one method minus that of another.

    Args:
        measure: The metric.
        ours: Of each seed's model its statistics, each (examples, statistics).
        theirs: The same of the other method on the same examples.
        confidence: Level of the interval.
        resamples: Resamples.
    """
    (our, our_drawn), (their, their_drawn) = _resampled(measure, (ours, theirs), resamples)
    return _interval(our - their, our_drawn - their_drawn, confidence)


def pooled_retention(
    measure: Measure,
    ours: Sequence[NDArray[np.float64]],
    teacher: Sequence[NDArray[np.float64]],
    confidence: float,
    resamples: int,
) -> Interval:
    """Share of the teacher's metric that is kept; arguments as in `pooled_difference`.

    A teacher that is no good has nothing to lose: it counts as right once.
    """
    least = 1 / len(teacher[0])
    (our, our_drawn), (their, their_drawn) = _resampled(measure, (ours, teacher), resamples)
    kept = our_drawn / np.maximum(their_drawn, least)
    return _interval(our / max(their, least), kept, confidence)


def seed_variance(values: NDArray[np.float64], drawn: NDArray[np.float64]) -> float:
    """Variance between trainings of the true metric; 0 where the examples explain it all.

    Args:
        values: The metric of each seed's model, shape (seeds,), two or more.
        drawn: The same on resampled examples, shape (resamples, seeds).
    """
    explained = (drawn - drawn.mean(axis=1, keepdims=True)).var(axis=0).sum() / (len(values) - 1)
    return float(max(0.0, values.var(ddof=1) - explained))


def _resampled(
    measure: Measure, methods: Sequence[Sequence[NDArray[np.float64]]], resamples: int
) -> list[tuple[float, NDArray[np.float64]]]:
    """Each method's mean over its seeds, and that on the same resampled examples."""
    draw = np.random.default_rng(SEED)
    examples = len(methods[0][0])
    at_once = max(1, ELEMENTS_AT_ONCE // examples)
    parts: list[list[NDArray[np.float64]]] = [[] for _ in methods]
    for start in range(0, resamples, at_once):
        rows = draw.integers(0, examples, (min(at_once, resamples - start), examples))
        for part, seeds in zip(parts, methods, strict=True):
            part.append(
                np.stack([measure.of_means(one[rows].mean(axis=-2)) for one in seeds], axis=1)
            )
    found = []
    for part, seeds in zip(parts, methods, strict=True):
        values = np.array([measure.of_means(one.mean(axis=0)) for one in seeds])
        by_seed = np.concatenate(part)
        drawn = by_seed.mean(axis=1)
        if (count := len(seeds)) > 1:
            spread = np.sqrt(seed_variance(values, by_seed) / count)
            drawn = drawn + spread * draw.standard_t(count - 1, resamples)
        found.append((float(values.mean()), drawn))
    return found


def _interval(value: float, drawn: NDArray[np.float64], confidence: float) -> Interval:
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(value, float(low), float(high))

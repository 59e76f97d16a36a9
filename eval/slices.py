"""The task's metric on parts of the examples: by class, by length, by any column of the table."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .config import EvaluateConfig
from .intervals import Interval
from .predictions import Predictions

LENGTH_BOUNDS = (8, 16, 32, 64, 128, 256)
MOST_VALUES = 50


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The examples that have one thing in common.

    Attributes:
        by: What they are divided by: `class`, `tokens`, or a column of the table.
        name: What they have in common.
        examples: How many they are.
        accuracy: The task's metric on them; accuracy of a class is its recall.
        difference: To the other artifact's on them; None without another, and of one example.
    """

    by: str
    name: str
    examples: int
    accuracy: Interval
    difference: Interval | None = None


def slices(
    ours: Predictions, config: EvaluateConfig, theirs: Predictions | None = None
) -> tuple[Slice, ...]:
    """The metric on every part of the examples, small ones with the wide intervals they have.

    Args:
        ours: Predictions of one artifact.
        config: Confidence and resamples.
        theirs: Of another on the same examples.
    """
    if not ours.measure.of_single_examples:  # what is compared is in no one part
        return ()
    of_config = config.confidence, config.resamples
    return tuple(
        Slice(
            by=by,
            name=name,
            examples=int(part.sum()),
            accuracy=ours.measure.interval(ours.statistics[part], *of_config),
            difference=ours.measure.difference(
                ours.statistics[part], theirs.statistics[part], *of_config
            )
            if theirs and part.sum() > 1
            else None,
        )
        for by, name, part in _parts(ours)
    )


def _parts(predictions: Predictions) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    for number, label in enumerate(predictions.labels if predictions.one_label else ()):
        if (part := predictions.truth == number).any():
            yield "class", label, part
    low = 0
    for high in (*LENGTH_BOUNDS, None):
        above = predictions.tokens > low
        part = above if high is None else above & (predictions.tokens <= high)
        if part.any():
            yield "tokens", f"{low + 1} to {high}" if high else f"over {low}", part
        low = high or low
    for column, values in predictions.columns.items():
        # Of a column with very many values the most frequent ones; the others are too few to tell.
        for name, _ in Counter(values).most_common(MOST_VALUES):
            yield column, name, np.array([value == name for value in values])

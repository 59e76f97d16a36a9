"""One artifact against another: on the same examples, in the same rounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import EvaluateConfig
from .intervals import Interval, proportion
from .results import Comparison
from .tasks import Measure


class Comparer:
    """Compares any two of the artifacts measured.

    Args:
        logits: By artifact, as `accuracy.predict` returns them.
        labels: The truth, shape (examples, ...).
        measure: The task's metric.
        latencies_ms: By artifact, shape (rounds, texts).
        config: Confidence and resamples.
    """

    def __init__(
        self,
        logits: Mapping[str, NDArray[np.float32]],
        labels: NDArray[Any],
        measure: Measure,
        latencies_ms: Mapping[str, NDArray[np.float64]],
        config: EvaluateConfig,
    ) -> None:
        self.logits, self.measure, self.config = logits, measure, config
        self.statistics = {n: measure.statistics(values, labels) for n, values in logits.items()}
        self.p50_ms = {name: np.median(values, axis=1) for name, values in latencies_ms.items()}

    def accuracy(self, name: str) -> Interval:
        """The metric of one artifact."""
        return self.measure.interval(
            self.statistics[name], self.config.confidence, self.config.resamples
        )

    def compare(self, name: str, other: str | None) -> Comparison | None:
        """Compare one artifact with another; None if there is no other or it is itself."""
        if other is None or other == name:
            return None
        ours, theirs = self.statistics[name], self.statistics[other]
        confidence, resamples = self.config.confidence, self.config.resamples
        p50_ratio_by_round = self.p50_ms[other] / self.p50_ms[name]
        return Comparison(
            other=other,
            difference=self.measure.difference(ours, theirs, confidence, resamples),
            retention=self.measure.retention(ours, theirs, confidence, resamples),
            agreement=proportion(
                self.measure.same(self.logits[name], self.logits[other]), confidence
            ),
            mcnemar_p=self.measure.p_value(ours, theirs),
            max_abs_logit_difference=self.measure.largest_difference(
                self.logits[name], self.logits[other]
            ),
            p50_ratio=float(np.median(p50_ratio_by_round)),
            p50_ratio_by_round=tuple(p50_ratio_by_round.tolist()),
        )

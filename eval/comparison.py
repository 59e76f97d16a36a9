"""One artifact against another: on the same examples, in the same rounds."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .config import EvaluateConfig
from .intervals import Interval, mcnemar, paired_difference, proportion, retention
from .results import Comparison


class Comparer:
    """Compares any two of the artifacts measured.

    Args:
        logits: By artifact, shape (examples, classes).
        labels: True class numbers, shape (examples,).
        latencies_ms: By artifact, shape (rounds, texts).
        config: Confidence and resamples.
    """

    def __init__(
        self,
        logits: Mapping[str, NDArray[np.float32]],
        labels: NDArray[np.int64],
        latencies_ms: Mapping[str, NDArray[np.float64]],
        config: EvaluateConfig,
    ) -> None:
        self.logits, self.config = logits, config
        self.answers = {name: values.argmax(axis=1) for name, values in logits.items()}
        self.right = {name: answers == labels for name, answers in self.answers.items()}
        self.p50_ms = {name: np.median(values, axis=1) for name, values in latencies_ms.items()}

    def accuracy(self, name: str) -> Interval:
        """Accuracy of one artifact."""
        return proportion(self.right[name], self.config.confidence)

    def compare(self, name: str, other: str | None) -> Comparison | None:
        """Compare one artifact with another; None if there is no other or it is itself."""
        if other is None or other == name:
            return None
        ours, theirs = self.right[name], self.right[other]
        confidence, resamples = self.config.confidence, self.config.resamples
        p50_ratio_by_round = self.p50_ms[other] / self.p50_ms[name]
        return Comparison(
            other=other,
            difference=paired_difference(ours, theirs, confidence, resamples),
            retention=retention(ours, theirs, confidence, resamples),
            agreement=proportion(self.answers[name] == self.answers[other], confidence),
            mcnemar_p=mcnemar(ours, theirs),
            max_abs_logit_difference=float(np.abs(self.logits[name] - self.logits[other]).max()),
            p50_ratio=float(np.median(p50_ratio_by_round)),
            p50_ratio_by_round=tuple(p50_ratio_by_round.tolist()),
        )

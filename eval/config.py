"""What the recipe may say about evaluation."""

from dataclasses import dataclass

from pocketbert.compress.config import STRICT, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How much is measured.

    Attributes:
        confidence: Level of every interval.
        resamples: Bootstrap resamples behind an interval.
        latency_texts: Test texts, at their real lengths, that are timed at batch 1.
        latency_rounds: Times that every engine answers all of them, in turn with the others.
        threads: Threads of one inference.
    """

    __pydantic_config__ = STRICT
    confidence: float = 0.95
    resamples: int = 2000
    latency_texts: int = 100
    latency_rounds: int = 5
    threads: int = 1

    def __post_init__(self) -> None:
        check_fraction("confidence", self.confidence, low_open=True)
        check_positive("resamples", self.resamples)
        check_positive("latency_texts", self.latency_texts)
        check_positive("latency_rounds", self.latency_rounds)
        check_positive("threads", self.threads)

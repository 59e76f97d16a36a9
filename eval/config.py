"""What the recipe may say about evaluation."""

from dataclasses import dataclass, field

from pocketbert.compress.config import ADDED_LATER, STRICT, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class SingleStreamConfig:
    """One text after the other.

    Attributes:
        seconds: How long at least.
    """

    __pydantic_config__ = STRICT
    seconds: float = 5.0

    def __post_init__(self) -> None:
        check_positive("seconds", self.seconds)


@dataclass(frozen=True, kw_only=True)
class OfflineConfig:
    """All texts at once, in any order.

    Attributes:
        seconds: How long about.
        batch_size: Texts of one inference.
    """

    __pydantic_config__ = STRICT
    seconds: float = 5.0
    batch_size: int = 16

    def __post_init__(self) -> None:
        check_positive("seconds", self.seconds)
        check_positive("batch_size", self.batch_size)


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Texts that arrive at random (a Poisson process) and must be answered in time.

    Attributes:
        latency_ms: The bound, waiting included.
        percentile: The fraction of the texts that has to keep it.
        seconds: How long at least, for each rate that is tried.
    """

    __pydantic_config__ = STRICT
    latency_ms: float
    percentile: float = 0.99
    seconds: float = 5.0

    def __post_init__(self) -> None:
        check_positive("latency_ms", self.latency_ms)
        check_fraction("percentile", self.percentile, low_open=True)
        check_positive("seconds", self.seconds)


@dataclass(frozen=True, kw_only=True)
class ScenariosConfig:
    """MLPerf's scenarios; those that are absent are not measured.

    Attributes:
        single_stream: One text after the other.
        offline: All at once.
        server: Random arrivals.
    """

    __pydantic_config__ = STRICT
    single_stream: SingleStreamConfig | None = None
    offline: OfflineConfig | None = None
    server: ServerConfig | None = None

    @property
    def wanted(self) -> dict[str, SingleStreamConfig | OfflineConfig | ServerConfig]:
        """Those that are there, by name."""
        named = {
            "single_stream": self.single_stream,
            "offline": self.offline,
            "server": self.server,
        }
        return {name: config for name, config in named.items() if config}


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How much is measured.

    Attributes:
        confidence: Level of every interval.
        resamples: Bootstrap resamples behind an interval.
        latency_texts: Test texts, at their real lengths, that are timed at batch 1.
        latency_rounds: Times that every engine answers all of them, in turn with the others.
        threads: Threads of one inference.
        scenarios: MLPerf's scenarios that every artifact is put through.
    """

    __pydantic_config__ = STRICT
    confidence: float = 0.95
    resamples: int = 2000
    latency_texts: int = 100
    latency_rounds: int = 5
    threads: int = 1
    scenarios: ScenariosConfig | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_fraction("confidence", self.confidence, low_open=True)
        check_positive("resamples", self.resamples)
        check_positive("latency_texts", self.latency_texts)
        check_positive("latency_rounds", self.latency_rounds)
        check_positive("threads", self.threads)

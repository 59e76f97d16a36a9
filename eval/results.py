"""What an evaluation found, and its form on disk."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from .artifacts import Artifact
from .environment import Environment
from .footprint import Footprint
from .intervals import Interval
from .roofline import Floor, Peaks
from .slices import Slice

RESULTS_FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One artifact against another on the same test examples and in the same rounds.

    Attributes:
        other: Name of the other artifact.
        difference: The metric minus the other's.
        retention: The metric divided by the other's.
        agreement: Fraction of the examples that both give the same answer.
        mcnemar_p: Exact p-value that both are right equally often, where the metric is accuracy.
        max_abs_logit_difference: Over all examples and labels.
        p50_ratio: How many times as fast: median over the rounds of the other's p50 divided by
            this one's.
        p50_ratio_by_round: That ratio in each round.
    """

    other: str
    difference: Interval
    retention: Interval
    agreement: Interval
    mcnemar_p: float | None
    max_abs_logit_difference: float
    p50_ratio: float
    p50_ratio_by_round: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency at batch 1, text in to answer out, over all texts and rounds.

    Attributes:
        p50_ms: Median.
        p50_by_round_ms: Median of each round.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        mean_ms: Mean.
        cold_start_ms: Start of the process to its first answer.
        open_ms: The part of it that opens the engine.
        warm_up_passes: Passes until it was steady.
        cpus: Processors that it was pinned to; empty where that cannot be done.
    """

    p50_ms: float
    p50_by_round_ms: tuple[float, ...]
    p90_ms: float
    p99_ms: float
    mean_ms: float
    cold_start_ms: float
    open_ms: float
    warm_up_passes: int
    cpus: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """One of MLPerf's scenarios; latencies are ours, those of LoadGen's log stand beside them.

    Server's are LoadGen's own: it counts from when it should have asked, not from when it did.

    Attributes:
        scenario: `single_stream`, `offline` or `server`.
        queries: Texts asked.
        texts_per_s: Texts answered a second.
        p50_ms: Median from question to answer; offline all are asked at the start.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        loadgen_p90_ms: As LoadGen logged it.
        loadgen_p99_ms: As LoadGen logged it.
        loadgen_valid: Whether LoadGen calls the run valid; it wants many queries for p99.
        rate_per_s: Server: mean rate of the arrivals.
        bound_ms: Server: the latency that has to be kept.
        bound_percentile: Server: by this fraction of the texts.
        bound_kept: Server: whether it was.
        warm_up_passes: Passes until it was steady.
        resident_bytes: Memory of its process afterwards.
        peak_bytes: Most memory that its process ever held.
    """

    scenario: str
    queries: int
    texts_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    loadgen_p90_ms: float
    loadgen_p99_ms: float
    loadgen_valid: bool
    rate_per_s: float | None
    bound_ms: float | None
    bound_percentile: float | None
    bound_kept: bool | None
    warm_up_passes: int
    resident_bytes: int
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class ArtifactResult:
    """All that was measured of one artifact.

    Attributes:
        artifact: What was measured.
        engine: What its engine says it is.
        accuracy: The task's metric, which `Results.metric` names, on the test examples.
        to_teacher: Against the teacher in PyTorch; None for itself.
        to_baseline: Against the teacher in ONNX Runtime, FP32; None for itself.
        to_previous: Against the artifact before it; None for the first.
        latency: At batch 1.
        footprint: On disk.
        resident_bytes: Memory of its process after the timing.
        peak_bytes: Most memory that its process ever held.
        calibration_error: Expected distance between stated and true frequency of being right.
        slices: Accuracy by class and by length, and its difference to the teacher's.
        floor: The least time that its products take here; None where they cannot be counted.
        load: What `evaluate.scenarios` asked for.
    """

    artifact: Artifact
    engine: str
    accuracy: Interval
    to_teacher: Comparison | None
    to_baseline: Comparison | None
    to_previous: Comparison | None
    latency: Latency
    footprint: Footprint
    resident_bytes: int
    peak_bytes: int
    calibration_error: float | None = None
    slices: tuple[Slice, ...] = ()
    floor: Floor | None = None
    load: tuple[LoadResult, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LengthHistogram:
    """Token counts of the test texts, special tokens included and cut at the longest input.

    Attributes:
        bin_width: Tokens a bin; bin i holds lengths from i * bin_width + 1 to (i + 1) * bin_width.
        counts: Texts in each bin.
    """

    bin_width: int
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation.

    Attributes:
        teacher: Name of the artifact that all are compared with.
        baseline_onnx: Name of the teacher's FP32 engine.
        engine: Name of what ships.
        labels: What the logits are called.
        data_fingerprint: Of the splits.
        split_sizes: Examples in each split.
        lengths: Token counts of the test texts.
        confidence: Level of every interval.
        resamples: Bootstrap resamples behind an interval.
        latency_texts: Texts that were timed.
        latency_rounds: Times that each was timed.
        threads: Threads of one inference.
        environment: Where.
        peaks: The fastest that this machine multiplies and moves numbers.
        artifacts: In the order of the pipeline.
        metric: Name of the metric that the task is judged by.
    """

    teacher: str
    baseline_onnx: str
    engine: str
    labels: tuple[str, ...]
    data_fingerprint: str
    split_sizes: dict[str, int]
    lengths: LengthHistogram
    confidence: float
    resamples: int
    latency_texts: int
    latency_rounds: int
    threads: int
    environment: Environment
    artifacts: tuple[ArtifactResult, ...]
    metric: str = "accuracy"
    peaks: Peaks | None = None

    def of(self, name: str) -> ArtifactResult:
        """The result of the artifact called `name`."""
        return next(result for result in self.artifacts if result.artifact.name == name)


def write_results(results: Results, folder: Path) -> None:
    """Write `results.json` into `folder`."""
    temporary = folder / f"{RESULTS_FILE}.tmp"
    temporary.write_bytes(TypeAdapter(Results).dump_json(results, indent=2))
    temporary.replace(folder / RESULTS_FILE)


def read_results(folder: Path) -> Results:
    """Read what `write_results` wrote."""
    return TypeAdapter(Results).validate_json((folder / RESULTS_FILE).read_bytes())

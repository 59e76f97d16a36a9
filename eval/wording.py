"""Measured values in words and figures: nothing is said that its interval does not carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .intervals import Interval
from .results import ArtifactResult, Comparison, LoadResult, Results

TIMES, MINUS = "\u00d7", "\u2212"
# MLPerf's name of each scenario, and how it asks.
SCENARIOS = {
    "single_stream": ("SingleStream", "one text after the other"),
    "offline": ("Offline", "all texts at once, answered in batches, so that only the rate counts"),
    "server": (
        "Server",
        "texts arrive at random; shown is the highest of the rates tried that keeps the bound, "
        "waiting included, or the lowest where none does",
    ),
}


def percent(fraction: float) -> str:
    """0.9143 -> `91.4%`."""
    return f"{100 * fraction:.1f}%"


def percent_range(interval: Interval) -> str:
    """The interval of a fraction: `89.4 to 93.1%`."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}%"


def points(interval: Interval) -> str:
    """A difference of fractions in percentage points: `-1.2 (-2.3 to -0.1)`."""
    value, low, high = (_signed(100 * end) for end in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def milliseconds(value_ms: float) -> str:
    """Three significant digits: `4.13 ms`, `132 ms`."""
    return f"{_three_digits(value_ms)} ms"


def size(value_bytes: float) -> str:
    """Decimal megabytes, or gigabytes from ten: `17.4 MB`."""
    if value_bytes >= 1e10:
        return f"{_three_digits(value_bytes / 1e9)} GB"
    return f"{_three_digits(value_bytes / 1e6)} MB"


def times(ratio: float) -> str:
    """`12.3x`."""
    return f"{_three_digits(ratio)}{TIMES}"


def times_range(by_round: tuple[float, ...]) -> str:
    """Lowest and highest of the rounds: `11.9 to 12.6`."""
    return f"{_three_digits(min(by_round))} to {_three_digits(max(by_round))}"


@dataclass(frozen=True)
class MetricWording:
    """How the task's metric is called and written: accuracy in percent, others as they are.

    Attributes:
        name: As the task's measure calls it.
    """

    name: str

    @property
    def title(self) -> str:
        """At the start of a heading: `Entity F1`."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def in_percent(self) -> bool:
        """Whether it is a share of the texts; a correlation or an F1 is none."""
        return self.name == "accuracy"

    @property
    def scale(self) -> int:
        """What a plot multiplies its values by."""
        return 100 if self.in_percent else 1

    @property
    def axis(self) -> str:
        """What the axis of a plot says: `accuracy, %`."""
        return f"{self.name}, %" if self.in_percent else self.name

    @property
    def difference_unit(self) -> str:
        """Behind the heading of a column of differences."""
        return ", points" if self.in_percent else ""

    def value(self, value: float) -> str:
        """`91.4%`, or `0.914`."""
        return percent(value) if self.in_percent else _three_decimals(value)

    def range(self, interval: Interval) -> str:
        """`89.4 to 93.1%`, or `0.894 to 0.931`."""
        if self.in_percent:
            return percent_range(interval)
        return f"{self.value(interval.low)} to {self.value(interval.high)}"

    def difference(self, interval: Interval) -> str:
        """`-1.2 (-2.3 to -0.1)`, or `-0.012 (-0.023 to -0.001)`."""
        if self.in_percent:
            return points(interval)
        value, low, high = (
            _signed_three_decimals(end) for end in (interval.value, interval.low, interval.high)
        )
        return f"{value} ({low} to {high})"


def load_cells(load: LoadResult) -> dict[str, str]:
    """A row of the table of a scenario, by heading; every row of one scenario has the same."""
    cells = {"texts a second": _three_digits(load.texts_per_s)}
    if load.scenario == "server":
        assert load.rate_per_s is not None
        assert load.bound_percentile is not None
        cells = {
            "arriving a second": _three_digits(load.rate_per_s),
            f"{100 * load.bound_percentile:g}% within {load.bound_ms:g} ms": (
                "kept" if load.bound_kept else "missed"
            ),
        }
    if load.scenario != "offline":  # there a text's latency is its place in the queue
        cells |= {
            "p50": milliseconds(load.p50_ms),
            "p90": milliseconds(load.p90_ms),
            "p99": milliseconds(load.p99_ms),
        }
    return cells | {
        "peak memory": size(load.peak_bytes),
        "queries": f"{load.queries:,}",
        "valid for LoadGen": "yes" if load.loadgen_valid else "no",
    }


def p_value(p: float | None) -> str:
    """Two significant digits, or that it is tiny; nothing where there is no test."""
    if p is None:
        return ""
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def verdict(comparison: Comparison) -> str:
    """Whether the metrics differ."""
    if comparison.difference.holds(0):
        return "no measurable difference"
    return "more accurate" if comparison.difference.value > 0 else "less accurate"


def what_zeros_buy(stages: Sequence[dict[str, Any]]) -> str | None:
    """What zeros among the weights are worth; None for a run without the sparsify stage."""
    summaries = {stage["name"]: stage["summary"] for stage in stages}
    if "sparsify" not in summaries:
        return None
    engine = summaries["compile"]
    return (
        f"{percent(engine['zero_weights'])} of the weights in the engine's matrix products are "
        f"zero, and {engine['two_of_four_matmuls']} of these products have the 2:4 pattern. On a "
        "CPU that saves no time, because ONNX Runtime's kernels multiply by zeros too, and no "
        f"bytes in the engine's file ({size(engine['bytes'])}); compressed for transfer (deflate) "
        f"it takes {size(engine['deflated_bytes'])}. NVIDIA's sparse tensor cores (Ampere and "
        "later) skip zeros of the 2:4 pattern and of no other; that is not measured here."
    )


def headline(results: Results) -> list[str]:
    """Sentences on what ships, each with its interval."""
    teacher, engine = results.of(results.teacher), results.of(results.engine)
    assert engine.to_teacher is not None
    assert engine.to_baseline is not None
    return [
        _metric_sentence(results, teacher, engine, engine.to_teacher),
        f"It answers a text in {milliseconds(engine.latency.p50_ms)} (median; 99% within "
        f"{milliseconds(engine.latency.p99_ms)}): {_speed(engine.to_teacher)} as the teacher in "
        f"PyTorch and {_speed(engine.to_baseline)} as the teacher in ONNX Runtime, FP32.",
        f"Its weights take {size(engine.footprint.weights_bytes)} instead of "
        f"{size(teacher.footprint.weights_bytes)}, and its process "
        f"{size(engine.peak_bytes)} of memory at its peak instead of {size(teacher.peak_bytes)}.",
        f"It gives the teacher's answer on {percent(engine.to_teacher.agreement.value)} of the "
        f"test texts ({percent_range(engine.to_teacher.agreement)}).",
    ]


def _metric_sentence(
    results: Results, teacher: ArtifactResult, engine: ArtifactResult, comparison: Comparison
) -> str:
    metric = MetricWording(results.metric)
    sentence = (
        f"The engine keeps {percent(comparison.retention.value)} of the teacher's "
        f"{metric.name} "
        f"({100 * results.confidence:g}% interval {percent_range(comparison.retention)}): "
        f"{metric.value(engine.accuracy.value)} against {metric.value(teacher.accuracy.value)}"
    )
    if comparison.difference.holds(0):
        return f"{sentence}, no measurable difference on {results.split_sizes['test']} test texts."
    unit = " percentage points" if metric.in_percent else ""
    return f"{sentence}, a difference of {metric.difference(comparison.difference)}{unit}."


def _speed(comparison: Comparison) -> str:
    rounds = times_range(comparison.p50_ratio_by_round)
    slow = " slow" if comparison.p50_ratio < 1 else " fast"
    ratio = comparison.p50_ratio if comparison.p50_ratio >= 1 else 1 / comparison.p50_ratio
    return f"{_three_digits(ratio)} times as{slow} (rounds: {rounds}{TIMES})"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", MINUS) if abs(value) >= 0.05 else "0.0"


def _three_decimals(value: float) -> str:
    """0.8074 -> `0.807`; a correlation may be negative."""
    return f"{value:.3f}".replace("-", MINUS)


def _signed_three_decimals(value: float) -> str:
    """0.0124 -> `+0.012`."""
    return f"{value:+.3f}".replace("-", MINUS) if abs(value) >= 0.0005 else "0.000"

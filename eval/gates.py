"""What a build must reach, as a recipe writes it: `p99_ms <= 5 on onnxruntime`.

A gate is `METRIC >= LIMIT` or `METRIC <= LIMIT`. `on TARGET` names a target of the bundle, without
which the engine that ships is meant. `on value` takes the measured value alone; otherwise the
unfavourable end of its interval decides.
"""

import difflib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["fraction", "ratio", "ms", "bytes"]

# What a limit of each kind may be written in, and how many of the metric's unit that is.
UNITS: dict[Kind, dict[str, float]] = {
    "fraction": {"": 1},
    "ratio": {"": 1},
    "ms": {"": 1, "ms": 1},
    "bytes": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
}
ON_VALUE = "value"
GRAMMAR = re.compile(
    r"\s*(\w+)\s*([<>=!]+)\s*([-+.\w]*?)\s*([A-Za-z%]*)((?:\s+on\s+\S+)*)\s*", re.ASCII
)


@dataclass(frozen=True)
class Metric:
    """Something that can be limited.

    Attributes:
        kind: In which unit.
        at_least: More is better, so that the limit is a lower one.
        about: What it is.
    """

    kind: Kind
    at_least: bool
    about: str


METRICS: dict[str, Metric] = {
    "metric": Metric("fraction", True, "what the task is judged by, accuracy or another"),
    "metric_retention": Metric("fraction", True, "that metric divided by the teacher's"),
    "metric_drop": Metric("fraction", False, "the teacher's metric minus its own"),
    "accuracy": Metric("fraction", True, "share of the test texts whose label is right"),
    "accuracy_retention": Metric("fraction", True, "accuracy divided by the teacher's"),
    "accuracy_drop": Metric("fraction", False, "the teacher's accuracy minus its own"),
    "agreement": Metric("fraction", True, "share of the test texts that get the teacher's answer"),
    "p50_ms": Metric("ms", False, "median latency, text in to answer out"),
    "p90_ms": Metric("ms", False, "90th percentile of the latency"),
    "p99_ms": Metric("ms", False, "99th percentile of the latency"),
    "p50_ratio_pytorch": Metric("ratio", True, "times as fast as the teacher in PyTorch"),
    "p50_ratio_onnxruntime": Metric("ratio", True, "times as fast as the teacher in ONNX Runtime"),
    "size_ratio": Metric("ratio", True, "times as small as the teacher's weights"),
    "bytes": Metric("bytes", False, "the file with the weights"),
    "bundle_bytes": Metric("bytes", False, "all files of the bundle"),
    "peak_bytes": Metric("bytes", False, "most memory that the process ever holds"),
}


# The same by the name of one task's metric, refused where the task is judged by another.
ACCURACY = ("accuracy", "accuracy_retention", "accuracy_drop")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A limit on a metric.

    Attributes:
        text: As the recipe writes it.
        metric: Name in METRICS.
        limit: In the metric's unit.
        target: Target of the bundle; None is what ships.
        on_value: The measured value decides, not the end of its interval.
    """

    text: str
    metric: str
    limit: float
    target: str | None = None
    on_value: bool = False

    @property
    def at_least(self) -> bool:
        """Whether the limit is a lower one."""
        return METRICS[self.metric].at_least


def parse_gate(text: str, targets: Collection[str]) -> Gate:
    """Read a gate.

    Args:
        text: As the recipe writes it.
        targets: Names that may stand behind `on`.

    Raises:
        ValueError: What was expected, as the end of a sentence that begins with the gate.
    """
    found = GRAMMAR.fullmatch(text)
    if found is None:
        raise ValueError(
            "expected 'METRIC >= LIMIT' or 'METRIC <= LIMIT', then 'on TARGET' or 'on value' if "
            f"wanted, such as 'p99_ms <= 5 on onnxruntime'; metrics are {', '.join(METRICS)}"
        )
    name, operator, number, unit, places = found.groups()
    if name not in METRICS:
        raise ValueError(
            f"expected one of the metrics {', '.join(METRICS)}{_nearest(name, METRICS)}"
        )
    metric = METRICS[name]
    expected = ">=" if metric.at_least else "<="
    if operator != expected:
        more = "more" if metric.at_least else "less"
        raise ValueError(f"expected '{name} {expected} LIMIT', because {more} of it is better")
    limit = _limit(name, metric, number, unit)
    target, on_value = _places(places.split()[1::2], targets)
    return Gate(text=text, metric=name, limit=limit, target=target, on_value=on_value)


def _limit(name: str, metric: Metric, number: str, unit: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ValueError("expected a number from 0 up behind the comparison")
    if metric.kind == "fraction" and (unit == "%" or value > 1):
        raise ValueError(f"expected a fraction from 0 to 1{_as_fraction(value)}")
    units = UNITS[metric.kind]
    if unit not in units:
        written = ", ".join(each for each in units if each) or "no unit"
        near = _nearest(unit, units) if unit else f"; did you mean {number} MB?"
        raise ValueError(f"expected the limit of {name} in {written}{near}")
    return value * units[unit]


def _as_fraction(percentage: float) -> str:
    return f"; did you mean {percentage / 100:g}?" if percentage <= 100 else ""


def _places(names: list[str], targets: Collection[str]) -> tuple[str | None, bool]:
    named = [name for name in names if name != ON_VALUE]
    if len(named) > 1 or len(set(names)) < len(names):
        raise ValueError("expected at most one 'on TARGET' and one 'on value'")
    for name in named:
        if name not in targets:
            known = ", ".join(targets) or "none, because compile.target auto chooses them itself"
            near = _nearest(name, [*targets, ON_VALUE])
            raise ValueError(f"expected a target of compile ({known}) behind 'on'{near}")
    return (named[0] if named else None), ON_VALUE in names


def _nearest(name: str, names: Collection[str]) -> str:
    by_lower = {each.lower(): each for each in names if each}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""

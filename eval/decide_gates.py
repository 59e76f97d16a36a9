"""Stage: whether what was measured reaches what the recipe asks for.

A gate passes where the whole interval does, is missed where none of it does, and is undecidable
where the limit lies inside: the data cannot tell. An undecidable gate does not pass.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from .gates import METRICS, Gate, Kind
from .intervals import Interval, percentile
from .results import ArtifactResult, Comparison, Results, read_results
from .wording import milliseconds, size, times

GATES_FILE = "gates.json"
Outcome: TypeAlias = Literal["pass", "miss", "undecidable"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that gates may look at.

    Attributes:
        results: Of the evaluation.
        result: Of the artifact that a gate is about.
        latencies_ms: Of that artifact, (rounds, texts).
    """

    results: Results
    result: ArtifactResult
    latencies_ms: NDArray[np.float64]

    @property
    def to_teacher(self) -> Comparison:
        """Against the teacher in PyTorch."""
        assert self.result.to_teacher is not None
        return self.result.to_teacher

    @property
    def to_baseline(self) -> Comparison:
        """Against the teacher in ONNX Runtime."""
        assert self.result.to_baseline is not None
        return self.result.to_baseline

    def latency(self, percent: float) -> Interval:
        """A percentile of the latency."""
        results = self.results
        return percentile(self.latencies_ms, percent, results.confidence, results.resamples)


# How each of METRICS is measured.
MEASURED: dict[str, Callable[[Measured], Interval]] = {
    "metric": lambda m: m.result.accuracy,
    "metric_retention": lambda m: m.to_teacher.retention,
    "metric_drop": lambda m: _negated(m.to_teacher.difference),
    "accuracy": lambda m: m.result.accuracy,
    "accuracy_retention": lambda m: m.to_teacher.retention,
    "accuracy_drop": lambda m: _negated(m.to_teacher.difference),
    "agreement": lambda m: m.to_teacher.agreement,
    "p50_ms": lambda m: m.latency(50),
    "p90_ms": lambda m: m.latency(90),
    "p99_ms": lambda m: m.latency(99),
    "p50_ratio_pytorch": lambda m: _over_rounds(m.to_teacher),
    "p50_ratio_onnxruntime": lambda m: _over_rounds(m.to_baseline),
    "size_ratio": lambda m: _exact(
        m.results.of(m.results.teacher).footprint.weights_bytes / m.result.footprint.weights_bytes
    ),
    "bytes": lambda m: _exact(m.result.footprint.weights_bytes),
    "bundle_bytes": lambda m: _exact(m.result.footprint.total_bytes),
    "peak_bytes": lambda m: _exact(m.result.peak_bytes),
}
SHOWN: Mapping[Kind, Callable[[float], str]] = {
    "fraction": "{:.4f}".format,
    "ratio": times,
    "ms": milliseconds,
    "bytes": size,
}


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """How a gate ended.

    Attributes:
        gate: As the recipe writes it.
        artifact: What it was measured on.
        outcome: Whether it holds.
        found: What was measured.
        explanation: The outcome in words.
    """

    gate: str
    artifact: str
    outcome: Outcome
    found: Interval
    explanation: str


def decide_gates(*, out: Path, gates: Sequence[Gate], evaluation: Path) -> dict[str, Any]:
    """Compare what was measured with every gate.

    Args:
        out: Gets `gates.json`, a list of GateResult.
        gates: In the order of the recipe.
        evaluation: Folder of the evaluate stage.

    Returns:
        How many gates ended how: `pass`, `miss`, `undecidable`.
    """
    results = read_results(evaluation)
    decided = [_decide(gate, results, evaluation) for gate in gates]
    (out / GATES_FILE).write_text(json.dumps([asdict(one) for one in decided], indent=2) + "\n")
    outcomes = [one.outcome for one in decided]
    return {name: outcomes.count(name) for name in ("pass", "miss", "undecidable")}


def read_gates(folder: Path) -> tuple[GateResult, ...]:
    """Read what `decide_gates` wrote."""
    content = (folder / GATES_FILE).read_bytes()
    return TypeAdapter(tuple[GateResult, ...]).validate_json(content)


def _decide(gate: Gate, results: Results, evaluation: Path) -> GateResult:
    result = _artifact(gate, results)
    name = result.artifact.name
    latencies_ms = np.load(evaluation / "latency" / f"{name}.npy", allow_pickle=False)
    measured = Measured(results=results, result=result, latencies_ms=latencies_ms)
    found = MEASURED[gate.metric](measured)
    outcome = decide(gate, found)
    return GateResult(
        gate=gate.text,
        artifact=name,
        outcome=outcome,
        found=found,
        explanation=_explain(gate, outcome, found, results.split_sizes["test"]),
    )


def decide(gate: Gate, found: Interval) -> Outcome:
    """Say how a gate ends."""
    ends = (found.value, found.value) if gate.on_value else (found.low, found.high)
    reaches = [end >= gate.limit if gate.at_least else end <= gate.limit for end in ends]
    if all(reaches):
        return "pass"
    return "undecidable" if any(reaches) else "miss"


def _explain(gate: Gate, outcome: Outcome, found: Interval, test_texts: int) -> str:
    show = SHOWN[METRICS[gate.metric].kind]
    value = show(found.value)
    if gate.on_value or found.low == found.high:
        return f"{value}, {'within' if outcome == 'pass' else 'beyond'} the limit"
    interval = f"{value} ({show(found.low)} to {show(found.high)})"
    if outcome == "pass":
        return f"{interval}, all of it within the limit"
    if outcome == "miss":
        return f"{interval}, all of it beyond the limit"
    words = f"{interval}: the limit lies inside the interval, which is too wide for this gate"
    needed = _texts_needed(gate, found, test_texts)
    if METRICS[gate.metric].kind != "fraction" or needed is None:
        return words
    return (
        f"{words}; with {test_texts:,} test texts it is, some {needed:,} would decide it if the "
        "value stays"
    )


def _texts_needed(gate: Gate, found: Interval, test_texts: int) -> int | None:
    """An interval narrows with the root of the number of examples; None for a value on the limit.

    The end that matters is the one on the limit's side.
    """
    distance = abs(found.value - gate.limit)
    reach = found.value - found.low if gate.limit < found.value else found.high - found.value
    if distance < 0.1 * reach:
        return None
    needed = test_texts * (reach / distance) ** 2
    digits = int(10 ** max(len(str(int(needed))) - 2, 0))
    return math.ceil(needed / digits) * digits


def _artifact(gate: Gate, results: Results) -> ArtifactResult:
    of_target = [one for one in results.artifacts if one.artifact.target == gate.target]
    if gate.target is not None and of_target:
        return of_target[0]
    return results.of(results.engine)


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)


def _over_rounds(comparison: Comparison) -> Interval:
    """The lowest and highest round stand for the interval."""
    rounds = comparison.p50_ratio_by_round
    return Interval(comparison.p50_ratio, min(rounds), max(rounds))


def _exact(value: float) -> Interval:
    return Interval(value, value, value)

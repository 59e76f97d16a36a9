"""What differs between two runs: recipe, versions, graph, sizes and results."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.eval.doctor.products import operators_of_bundle
from pocketbert.eval.intervals import Interval

from . import screen
from .located_yaml import Key, dotted

NOT_COMPARED = (("name",), ("about",))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that two runs do not share.

    Attributes:
        what: Its name, such as `distill.student.layers`.
        first: In the first run.
        second: In the second.
        verdict: What the difference means, in words; empty where it speaks for itself.
    """

    what: str
    first: str
    second: str
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Two runs side by side.

    Attributes:
        recipe: Keys that differ.
        versions: Of libraries and of the machine.
        graph: Operators of the engines, by type, where their number differs.
        sizes: Of the engines.
        results: Accuracy and latency of the engines, in words that the intervals carry.
    """

    recipe: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    graph: tuple[Difference, ...]
    sizes: tuple[Difference, ...]
    results: tuple[Difference, ...]


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare two folders of results.

    Raises:
        UserError: One of them is none.
    """
    reports = [screen.read_report(folder) for folder in (first, second)]
    engines = [_engine(report) for report in reports]
    return RunComparison(
        recipe=tuple(_recipe(*(report["recipe"] for report in reports))),
        versions=tuple(_versions(*(report["results"]["environment"] for report in reports))),
        graph=tuple(
            _graph(*(operators_of_bundle(folder / "bundle") for folder in (first, second)))
        ),
        sizes=tuple(_sizes(*engines)),
        results=tuple(_results(reports, engines)),
    )


def _recipe(first: Any, second: Any) -> Iterator[Difference]:
    ours, theirs = dict(_leaves(first)), dict(_leaves(second))
    for path in dict.fromkeys([*ours, *theirs]):
        if ours.get(path) != theirs.get(path) and path not in NOT_COMPARED:
            yield Difference(
                what=dotted(path), first=_shown(ours.get(path)), second=_shown(theirs.get(path))
            )


def _leaves(value: Any, path: Key = ()) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif value is not None:
        yield path, value


def _versions(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in ("cpu", "instruction_sets", "cpus", "governor", "system", "python"):
        if first[name] != second[name]:
            yield Difference(what=name, first=_shown(first[name]), second=_shown(second[name]))
    for name in dict.fromkeys([*first["libraries"], *second["libraries"]]):
        ours, theirs = (one["libraries"].get(name) for one in (first, second))
        if ours != theirs:
            yield Difference(what=name, first=_shown(ours), second=_shown(theirs))


def _graph(first: Counter[str], second: Counter[str]) -> Iterator[Difference]:
    for name in dict.fromkeys([*first, *second]):
        if first[name] != second[name]:
            yield Difference(what=name, first=str(first[name]), second=str(second[name]))


def _sizes(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in ("parameters", "weights_bytes", "total_bytes"):
        ours, theirs = first["footprint"][name], second["footprint"][name]
        if ours != theirs:
            yield Difference(
                what=name,
                first=_count(name, ours),
                second=_count(name, theirs),
                verdict=f"{theirs / ours:.3g} times" if ours and theirs else "",
            )


def _results(reports: list[dict[str, Any]], engines: list[Any]) -> Iterator[Difference]:
    """Accuracy and latency; two runs that do not share their data or machine are not compared."""
    tests = [report["results"]["data_fingerprint"] for report in reports]
    metrics = [report["results"].get("metric", "accuracy") for report in reports]
    accuracy = [Interval(**engine["accuracy"]) for engine in engines]
    yield Difference(
        what=" and ".join(dict.fromkeys(metrics)),
        first=screen.metric_interval(metrics[0], engines[0]["accuracy"]),
        second=screen.metric_interval(metrics[1], engines[1]["accuracy"]),
        verdict=_apart(*accuracy, better="more accurate", worse="less accurate")
        if tests[0] == tests[1]
        else "not comparable: other test texts",
    )
    machines = [report["results"]["environment"]["cpu"] for report in reports]
    rounds = [_rounds(engine) for engine in engines]
    yield Difference(
        what="p50",
        first=f"{engines[0]['latency']['p50_ms']:.3g} ms",
        second=f"{engines[1]['latency']['p50_ms']:.3g} ms",
        verdict=_apart(*rounds, better="slower", worse="faster")
        + "; measured apart, so that the machine's load counts as well"
        if machines[0] == machines[1]
        else "not comparable: other processors",
    )
    for name in ("retention", "agreement"):
        values = [Interval(**engine["to_teacher"][name]) for engine in engines]
        yield Difference(
            what=f"{name} (each its own teacher)",
            first=_interval(values[0]),
            second=_interval(values[1]),
            verdict=_apart(*values, better="higher", worse="lower"),
        )


def _apart(first: Interval, second: Interval, *, better: str, worse: str) -> str:
    """Say what two intervals carry. Without pairs, only intervals that do not touch tell."""
    if second.low > first.high:
        return f"the second is {better}"
    if second.high < first.low:
        return f"the second is {worse}"
    return "cannot be told apart: the intervals overlap"


def _rounds(engine: Mapping[str, Any]) -> Interval:
    by_round: NDArray[np.float64] = np.array(engine["latency"]["p50_by_round_ms"])
    return Interval(float(np.median(by_round)), float(by_round.min()), float(by_round.max()))


def _engine(report: Mapping[str, Any]) -> Any:
    name = report["results"]["engine"]
    artifacts = report["results"]["artifacts"]
    return next(one for one in artifacts if one["artifact"]["name"] == name)


def _interval(interval: Interval) -> str:
    value = screen.percent(interval.value)
    return f"{value} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _count(name: str, value: int | None) -> str:
    if value is None:
        return "unknown"
    return screen.megabytes(value) if name.endswith("_bytes") else f"{value:,}"


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)

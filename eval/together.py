"""Several runs, and what devices measured of their bundles, in one page.

A device's file is what `pocketbert bench` wrote there and was copied back. It finds its run by the
hash of the bundle's manifest, so that no latency stands beside the accuracy of another bundle.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pocketbert.compress.errors import UserError
from pocketbert.deploy.bundle import MANIFEST, hash_file

from . import plot
from .intervals import Interval
from .wording import MetricWording, milliseconds, size


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An engine where it was measured.

    Attributes:
        run: Name of the recipe.
        device: Processor that it was measured on.
        target: Target of the bundle.
        metric: What the run's task is judged by.
        accuracy: Its value on the run's test texts.
        p50_ms: Median latency at batch 1.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        weights_bytes: File with the weights.
        energy_mj: Of an inference, where a sensor measured it.
    """

    run: str
    device: str
    target: str
    metric: MetricWording
    accuracy: Interval
    p50_ms: float
    p90_ms: float
    p99_ms: float
    weights_bytes: int
    energy_mj: float | None = None

    @property
    def title(self) -> str:
        """How lists call it."""
        return f"{self.run}, {self.target}, {self.device}"

    @property
    def details(self) -> str:
        """What is said of it when it is pointed at."""
        energy = "" if self.energy_mj is None else f", {self.energy_mj:.3g} mJ"
        return (
            f"{self.title}: {self.metric.name} {self.metric.value(self.accuracy.value)} "
            f"({self.metric.range(self.accuracy)}); p50 {milliseconds(self.p50_ms)}, p90 "
            f"{milliseconds(self.p90_ms)}, p99 {milliseconds(self.p99_ms)}; weights "
            f"{size(self.weights_bytes)}{energy}"
        )


def write_together(out: Path, runs: Sequence[Path], devices: Sequence[Path]) -> list[Entry]:
    """Write one page of several runs and devices.

    Args:
        out: The page.
        runs: Folders of results.
        devices: Files of `pocketbert bench`.

    Returns:
        What the page shows, run by run.

    Raises:
        UserError: A file is no such file, or a device measured a bundle of none of the runs.
    """
    reports = {
        _bundle_hash(run): _read(run / "report.json", "the results of a run") for run in runs
    }
    entries = [_of_run(report) for report in reports.values()]
    for device in devices:
        entries += _of_device(device, reports)
    points = [
        plot.Point(
            title=entry.title,
            accuracy=entry.accuracy,
            p50_ms=entry.p50_ms,
            p90_ms=entry.p90_ms,
            details=entry.details,
            ships=True,
        )
        for entry in entries
    ]
    # Runs of different tasks stand on one axis; each is written in its own metric.
    metrics = {entry.metric for entry in entries}
    metric = metrics.pop() if len(metrics) == 1 else MetricWording("metric")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (milliseconds, size):
        environment.filters[show.__name__] = show
    page = environment.get_template("together.html.jinja").render(
        entries=entries,
        metric=metric,
        figure=plot.accuracy_against_latency(points, metric),
        details=[point.details for point in points],
        front=[point.title for point in plot.pareto_front(points)],
    )
    temporary = out.with_name(f".{out.name}.tmp")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(out)
    return entries


def _of_run(report: dict[str, Any]) -> Entry:
    engine, results = _engine(report), report["results"]
    latency = engine["latency"]
    return Entry(
        run=report["recipe"]["name"],
        device=results["environment"]["cpu"],
        target=engine["engine"].partition(":")[0],
        metric=_metric(report),
        accuracy=Interval(**engine["accuracy"]),
        p50_ms=latency["p50_ms"],
        p90_ms=latency["p90_ms"],
        p99_ms=latency["p99_ms"],
        weights_bytes=engine["footprint"]["weights_bytes"],
    )


def _of_device(path: Path, reports: dict[str, dict[str, Any]]) -> list[Entry]:
    measured = _read(path, "what pocketbert bench wrote")
    hashes = {one["folder"]: one["manifest_sha256"] for one in measured["bundles"]}
    entries = []
    for row in measured["rows"]:
        found = hashes[row["bundle"]]
        if found not in reports:
            known = ", ".join(
                f"{known[:12]} ({report['recipe']['name']})" for known, report in reports.items()
            )
            raise UserError(
                f"{path} was measured on the bundle {found[:12]}, expected one of the runs given: "
                f"{known}; name its run too, or measure again"
            )
        report = reports[found]
        entries.append(
            Entry(
                run=report["recipe"]["name"],
                device=f"{measured['environment']['cpu']}, {row['texts']}",
                target=row["target"],
                metric=_metric(report),
                accuracy=Interval(**_engine(report)["accuracy"]),
                p50_ms=row["p50_ms"],
                p90_ms=row["p90_ms"],
                p99_ms=row["p99_ms"],
                weights_bytes=_engine(report)["footprint"]["weights_bytes"],
                energy_mj=row["energy_mj"],
            )
        )
    return entries


def _metric(report: dict[str, Any]) -> MetricWording:
    # Reports of before there were other metrics do not name theirs.
    return MetricWording(report["results"].get("metric", "accuracy"))


def _engine(report: dict[str, Any]) -> dict[str, Any]:
    results = report["results"]
    artifacts: list[dict[str, Any]] = results["artifacts"]
    return next(one for one in artifacts if one["artifact"]["name"] == results["engine"])


def _bundle_hash(run: Path) -> str:
    manifest = run / "bundle" / MANIFEST
    if not manifest.is_file():
        raise UserError(f"{run} has no bundle, expected the folder of a run's results")
    return hash_file(manifest)


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}), expected {what}") from error
    keys = {"results", "recipe"} if path.name == "report.json" else {"bundles", "rows"}
    if not isinstance(content, dict) or not keys <= content.keys():
        raise UserError(f"{path} lacks {', '.join(sorted(keys))}, expected {what}")
    return content

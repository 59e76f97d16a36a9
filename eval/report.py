"""Stage: the results as a page, a text and a file for programs."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import plot, wording
from .decide_gates import read_gates
from .doctor.examine import read_examination
from .evaluate import summarize
from .model_card import card_header, data_name
from .report_file import SCHEMA_VERSION, Report, StageRecord, report_json
from .results import ArtifactResult, LoadResult, Results, read_results
from .wording import MetricWording

SUMMARY_COLUMNS = (
    "recipe",
    "teacher_accuracy",
    "engine_accuracy",
    "retention",
    "retention_interval",
    "p50_ratio_pytorch",
    "p50_ratio_onnxruntime",
    "size_ratio",
    "wall_s",
)
CSV_COLUMNS = (
    "artifact",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "accuracy_retention",
    "agreement",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "cold_start_ms",
    "weights_bytes",
    "total_bytes",
    "peak_bytes",
)
# `<scenario>_<figure>` of what MLPerf's scenarios found, empty where they were not measured.
LOAD_FIGURES = {
    "single_stream": ("p90_ms", "p99_ms"),
    "offline": ("texts_per_s",),
    "server": ("rate_per_s", "bound_ms", "bound_percentile", "bound_kept", "p99_ms"),
}
LOAD_COLUMNS = tuple(
    f"{scenario}_{figure}" for scenario, figures in LOAD_FIGURES.items() for figure in figures
)
SLICES = {"class": "by class", "tokens": "by length in tokens"}
FILTERS = (
    wording.percent,
    wording.percent_range,
    wording.milliseconds,
    wording.size,
    wording.times,
    wording.times_range,
    wording.p_value,
    wording.verdict,
    wording.load_cells,
)


def write_report(
    *,
    out: Path,
    evaluation: Path,
    recipe: dict[str, Any],
    stages: Sequence[dict[str, Any]],
    gates: Path | None = None,
    doctor: Path | None = None,
) -> dict[str, Any]:
    """Write the report as a page, a text, JSON and CSV, and the bundle's model card.

    Args:
        out: Folder for the files.
        evaluation: Folder of the evaluate stage.
        recipe: The resolved recipe.
        stages: One dict a stage, in order: `name`, `seconds` (of work, also if it was cached),
            `cached`, and `summary`, what the stage returned.
        gates: Folder of the gates stage, if the recipe has gates.
        doctor: Folder of the examine stage.

    Returns:
        The summary: the evaluation's headline and `wall_s`, the stages' seconds together.
    """
    results = read_results(evaluation)
    report = Report(
        schema_version=SCHEMA_VERSION,
        summary=summarize(results) | {"wall_s": sum(stage["seconds"] for stage in stages)},
        recipe=recipe,
        stages=tuple(StageRecord(**stage) for stage in stages),
        gates=read_gates(gates) if gates else (),
        doctor=read_examination(doctor) if doctor else None,
        results=results,
    )
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("report.json", report_json(report)),
        ("report.html", _render("report.html.jinja", report)),
        ("report.md", _render("report.md.jinja", report)),
        ("report.csv", report_csv(results)),
        ("README.md", _render("model_card.md.jinja", report)),
    ):
        _write(out / name, text)
    return report.summary


def report_csv(results: Results) -> str:
    """One row an artifact, with its numbers unrounded."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS + LOAD_COLUMNS)
    for result in results.artifacts:
        to_teacher = result.to_teacher
        load = {one.scenario: one for one in result.load}
        writer.writerow(
            [
                result.artifact.name,
                result.accuracy.value,
                result.accuracy.low,
                result.accuracy.high,
                to_teacher.retention.value if to_teacher else "",
                to_teacher.agreement.value if to_teacher else "",
                result.latency.p50_ms,
                result.latency.p90_ms,
                result.latency.p99_ms,
                result.latency.cold_start_ms,
                result.footprint.weights_bytes,
                result.footprint.total_bytes,
                result.peak_bytes,
                *(
                    getattr(load[scenario], figure) if scenario in load else ""
                    for scenario, figures in LOAD_FIGURES.items()
                    for figure in figures
                ),
            ]
        )
    return file.getvalue()


def summary_table(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a report for a table of several runs.

    Args:
        reports: Parsed `report.json` files.

    Returns:
        Rows with the keys SUMMARY_COLUMNS.
    """
    rows = [{"recipe": report["recipe"]["name"], **report["summary"]} for report in reports]
    return [{column: row[column] for column in SUMMARY_COLUMNS} for row in rows]


def _render(template: str, report: Report) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape="html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in FILTERS:
        environment.filters[show.__name__] = show
    environment.filters["changes"] = _changes
    results, stages = report.results, [asdict(stage) for stage in report.stages]
    return environment.get_template(template).render(
        report=report,
        results=results,
        metric=MetricWording(results.metric),
        summary=report.summary,
        stages=stages,
        recipe_name=report.recipe["name"],
        recipe_text=_yaml(_given(report.recipe)),
        card_header=_yaml(card_header(report.recipe, results)),
        data_name=data_name(report.recipe),
        headline=wording.headline(results),
        zeros=wording.what_zeros_buy(stages),
        scenarios=_scenarios(results),
        scenario_wording=wording.SCENARIOS,
        tried=[row for stage in stages for row in stage["summary"].get("tried", ())],
        **(_figures(results) if "html" in template else {}),
    )


def _scenarios(results: Results) -> dict[str, list[tuple[ArtifactResult, LoadResult]]]:
    """What every artifact did in each of MLPerf's scenarios that was measured."""
    rows: dict[str, list[tuple[ArtifactResult, LoadResult]]] = {}
    for result in results.artifacts:
        for load in result.load:
            rows.setdefault(load.scenario, []).append((result, load))
    return rows


def _given(value: Any) -> Any:
    """A recipe as it would be written: without what is absent."""
    if isinstance(value, dict):
        return {key: _given(item) for key, item in value.items() if item is not None}
    return [_given(item) for item in value] if isinstance(value, list | tuple) else value


def _yaml(value: dict[str, Any]) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _figures(results: Results) -> dict[str, Any]:
    """Everything drawn, as SVG."""
    metric = MetricWording(results.metric)
    parts = {
        f"{metric.title} {title}": plot.slice_bars(
            f"by-{by}", f"{metric.title} {title}", bars, metric
        )
        for by, title in SLICES.items()
        if (bars := _slice_bars(results, by))
    }
    points = points_of(results)
    return {
        "figure": plot.accuracy_against_latency(points, metric),
        "details": [point.details for point in points],
        "front": [point.title for point in plot.pareto_front(points)],
        "lengths": plot.length_histogram(results.lengths),
        "parts": parts,
    }


def points_of(results: Results) -> list[plot.Point]:
    """Every artifact, as the plot shows it."""
    metric = MetricWording(results.metric)
    return [
        plot.Point(
            title=result.artifact.title,
            accuracy=result.accuracy,
            p50_ms=result.latency.p50_ms,
            p90_ms=result.latency.p90_ms,
            details=_details(result, metric),
            ships=result.artifact.name == results.engine,
        )
        for result in results.artifacts
    ]


def _details(result: ArtifactResult, metric: MetricWording) -> str:
    latency = result.latency
    return (
        f"{result.artifact.title}: {metric.name} {metric.value(result.accuracy.value)} "
        f"({metric.range(result.accuracy)}); p50 {wording.milliseconds(latency.p50_ms)}, "
        f"p90 {wording.milliseconds(latency.p90_ms)}, p99 {wording.milliseconds(latency.p99_ms)}; "
        f"weights {wording.size(result.footprint.weights_bytes)}, peak memory "
        f"{wording.size(result.peak_bytes)}"
    )


def _slice_bars(results: Results, by: str) -> list[plot.SliceBar]:
    """The engine beside the teacher on the parts of the test texts that both have."""
    engine, teacher = (
        {part.name: part for part in results.of(name).slices if part.by == by}
        for name in (results.engine, results.teacher)
    )
    return [
        plot.SliceBar(
            name=name,
            examples=part.examples,
            engine=part.accuracy,
            teacher=teacher[name].accuracy,
        )
        for name, part in engine.items()
        if name in teacher
    ]


def _changes(summary: dict[str, Any]) -> str:
    """The plain values of a stage's summary: `parameters 14,350,248, steps 600, heads 4 2`."""
    parts = []
    for name, value in summary.items():
        if isinstance(value, bool | str):
            parts.append(f"{name} {value}")
        elif isinstance(value, int):
            parts.append(f"{name} {value:,}")
        elif isinstance(value, float):
            parts.append(f"{name} {value:.4g}")
    for kind in summary["widths"][0] if summary.get("widths") else ():
        parts.append(f"{kind} " + " ".join(str(layer[kind]) for layer in summary["widths"]))
    return ", ".join(part.replace("_", " ") for part in parts)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)

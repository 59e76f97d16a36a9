"""Stage: the results as a page, a text and a file for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import plot, wording
from .decide_gates import GateResult, read_gates
from .evaluate import summarize
from .results import Results, read_results

SCHEMA_VERSION = 1
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


def write_report(
    *,
    out: Path,
    evaluation: Path,
    recipe: dict[str, Any],
    stages: Sequence[dict[str, Any]],
    gates: Path | None = None,
) -> dict[str, Any]:
    """Write `report.html`, `report.md` and `report.json`.

    Args:
        out: Folder for the three files.
        evaluation: Folder of the evaluate stage.
        recipe: The resolved recipe.
        stages: One dict a stage, in order: `name`, `seconds` (of work, also if it was cached),
            `cached`, and `summary`, what the stage returned.
        gates: Folder of the gates stage, if the recipe has gates.

    Returns:
        The summary: the evaluation's headline and `wall_s`, the stages' seconds together.
    """
    results = read_results(evaluation)
    summary = summarize(results) | {"wall_s": sum(stage["seconds"] for stage in stages)}
    decided = read_gates(gates) if gates else ()
    report = {
        "schema_version": SCHEMA_VERSION,
        "summary": summary,
        "recipe": recipe,
        "stages": list(stages),
        "gates": [asdict(gate) for gate in decided],
        "results": asdict(results),
    }
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "report.json", json.dumps(report, indent=2, allow_nan=False))
    _write(
        out / "report.html", _render("report.html.jinja", results, summary, recipe, stages, decided)
    )
    _write(out / "report.md", _render("report.md.jinja", results, summary, recipe, stages, decided))
    return summary


def summary_table(reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a report for a table of several runs.

    Args:
        reports: Parsed `report.json` files.

    Returns:
        Rows with the keys SUMMARY_COLUMNS.
    """
    rows = [{"recipe": report["recipe"]["name"], **report["summary"]} for report in reports]
    return [{column: row[column] for column in SUMMARY_COLUMNS} for row in rows]


def _render(
    template: str,
    results: Results,
    summary: dict[str, Any],
    recipe: dict[str, Any],
    stages: Sequence[dict[str, Any]],
    gates: Sequence[GateResult],
) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape="html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (
        wording.percent,
        wording.percent_range,
        wording.points,
        wording.milliseconds,
        wording.size,
        wording.times,
        wording.times_range,
        wording.p_value,
        wording.verdict,
    ):
        environment.filters[show.__name__] = show
    environment.filters["changes"] = _changes
    return environment.get_template(template).render(
        results=results,
        summary=summary,
        stages=stages,
        gates=gates,
        recipe_name=recipe["name"],
        recipe_text=yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True),
        headline=wording.headline(results),
        zeros=wording.what_zeros_buy(stages),
        tried=[row for stage in stages for row in stage["summary"].get("tried", ())],
        figure=plot.accuracy_against_latency(results) if "html" in template else "",
        lengths=plot.length_histogram(results.lengths) if "html" in template else "",
    )


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

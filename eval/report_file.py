"""`report.json`: all that a report says, typed, and the JSON schema that ships with it.

`python -m pocketbert.eval.report_file` writes the schema anew after a change of what is measured.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from .decide_gates import GateResult
from .doctor.examine import Examination
from .results import Results

SCHEMA_VERSION = 2  # 1 had neither gates nor the doctor
SCHEMA = Path(__file__).with_name("report.schema.json")


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage of the run.

    Attributes:
        name: Of the stage.
        seconds: Of work, also if it was taken from the cache.
        cached: It was taken from the cache.
        summary: What the stage returned.
    """

    name: str
    seconds: float
    cached: bool
    summary: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run's report.

    Attributes:
        schema_version: Of this form.
        summary: The headline's numbers, and `wall_s`, the stages' seconds together.
        recipe: As it was resolved.
        stages: In order.
        gates: How each ended.
        doctor: What the doctor found on the engine that ships.
        results: All that was measured.
    """

    schema_version: int
    summary: dict[str, Any]
    recipe: dict[str, Any]
    stages: tuple[StageRecord, ...]
    gates: tuple[GateResult, ...]
    doctor: Examination | None
    results: Results


def report_json(report: Report) -> str:
    """Write a report as JSON."""
    return TypeAdapter(dict[str, Any]).dump_json(asdict(report), indent=2).decode()


def read_report(path: Path) -> Report:
    """Read a `report.json`."""
    return TypeAdapter(Report).validate_json(path.read_bytes())


def report_schema() -> dict[str, Any]:
    """JSON schema of `report.json`, as `report.schema.json` has it."""
    return TypeAdapter(Report).json_schema()


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(report_schema(), indent=2) + "\n", encoding="utf-8")

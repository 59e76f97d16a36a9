"""What `pocketbert eval` does: measure, keep, compare."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketbert.compress.errors import UserError
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.paired import compare_predictions
from pocketbert.eval.predictions import Predictions, read_predictions, write_predictions
from pocketbert.eval.score import Table, Timing, measure_table, score

PREDICTIONS = ".parquet"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks for.

    Attributes:
        artifacts: One to measure, or predictions of one or several seeds.
        table: The labelled examples; None for predictions.
        labels: Label names, for a model that does not carry its own.
        max_length: Longest input in tokens, for a model that does not carry its own.
        target: Of a bundle, the target that is measured.
        save: Where the predictions are kept.
        against: Predictions of one or several seeds to compare with.
    """

    artifacts: list[Path]
    table: Table | None
    labels: tuple[str, ...] | None
    max_length: int | None
    target: str | None
    save: Path | None
    against: list[Path]


def measure_and_compare(asked: Asked, config: EvaluateConfig) -> dict[str, Any]:
    """Do what was asked.

    Returns:
        `scores`, one an artifact; `timing` of what ran; `paired` where something was compared.

    Raises:
        UserError: The command line does not fit what was found.
    """
    # Before anything is measured, so that a wrong path costs nothing.
    theirs = [read_predictions(path) for path in asked.against]
    ours, timing = _predictions(asked, config)
    if asked.save:
        write_predictions(ours[0], asked.save)
    # First, because it refuses what is not of the same examples.
    paired = compare_predictions(ours, theirs, config) if theirs else None
    other = theirs[0] if theirs else None
    found: dict[str, Any] = {"scores": [asdict(score(one, config, other)) for one in ours]}
    if timing:
        found["timing"] = asdict(timing)
    if paired:
        found["paired"] = asdict(paired)
    return found


def _predictions(asked: Asked, config: EvaluateConfig) -> tuple[list[Predictions], Timing | None]:
    if all(path.suffix == PREDICTIONS for path in asked.artifacts):
        told = (asked.table, asked.labels, asked.max_length, asked.target, asked.save)
        if any(told):
            raise UserError(
                f"{asked.artifacts[0]} holds predictions, expected nothing to run; leave --data, "
                "--labels, --max-length, --target and --save out"
            )
        return [read_predictions(path) for path in asked.artifacts], None
    if len(asked.artifacts) > 1:
        raise UserError(
            f"{len(asked.artifacts)} artifacts are given, expected one, or predictions of several "
            "seeds; measure each with --save first"
        )
    if asked.table is None:
        raise UserError(
            f"{asked.artifacts[0]} has to be run, expected a table of labelled texts; give --data"
        )
    predictions, timing = measure_table(
        asked.artifacts[0],
        asked.table,
        labels=asked.labels,
        max_length=asked.max_length,
        target=asked.target,
        config=config,
    )
    return [predictions], timing

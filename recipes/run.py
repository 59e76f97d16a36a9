"""Doing what a recipe plans, and putting what it ends with where people look."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, copytree, rmtree

from filelock import FileLock

from pocketbert.compress.errors import UserError
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.runners import why_not
from pocketbert.eval.decide_gates import GateResult, read_gates

from .cache import StageCache, StageResult, Step
from .pipeline import STAGES, plan
from .schema import CACHE_FOLDER, Recipe
from .storage import disk_problems_explained, write_whole
from .validate import nearest

REPORTS = ("report.html", "report.md", "report.json", "report.csv", "README.md")
MARKER = "run.json"


@dataclass(frozen=True)
class Run:
    """A run that ended.

    Attributes:
        stages: In order.
        results: Folder with `bundle/` and `report.*`; None if the run stopped before the report.
        idle: There was nothing to do.
        gates: How those of the recipe ended.
    """

    stages: tuple[StageResult, ...]
    results: Path | None
    idle: bool
    gates: tuple[GateResult, ...] = ()


def run(recipe: Recipe, work: Path, until: str | None = None) -> Run:
    """Do what is not done yet, and publish the results in `<work>/<recipe's name>/`.

    Args:
        recipe: What to do.
        work: Folder of the cache and the results.
        until: Stop after this stage, and publish nothing.

    Raises:
        UserError: An input or the surroundings are wrong.
    """
    cache = StageCache(work / CACHE_FOLDER)
    steps = _until(plan(recipe, cache), until)
    if steps[-1].name == "report":
        _check_engine_runs_here(recipe, "stop with --until compile")
        _check_gates_can_be_measured(recipe)
    if any(step.name == "check-int8" for step in steps):
        _check_engine_runs_here(recipe, "leave out qat.only_below")
    if any(step.name == "latency-table" for step in steps):
        _check_engine_runs_here(recipe, "name a table measured there in prune.latency_table")
    if any(step.name == "compile" for step in steps):
        _check_targets_can_be_built(recipe)
    stages: list[StageResult] = []
    for step in steps:
        if step.name == "report":
            stages.append(cache.run(step, stages=_records(stages)))
        else:
            stages.append(cache.run(step))
    idle = all(stage.cached for stage in stages)
    if steps[-1].name != "report":
        return Run(tuple(stages), None, idle)
    with disk_problems_explained(work):
        published = _publish(work, recipe.name, stages)
    gates = next((read_gates(stage.folder) for stage in stages if stage.name == "gates"), ())
    return Run(tuple(stages), work / recipe.name, idle and not published, gates)


def _until(steps: list[Step], until: str | None) -> list[Step]:
    if until is None:
        return steps
    names = [step.name for step in steps]
    if until not in names:
        why = "this recipe skips it" if until in STAGES else "there is no such stage"
        raise UserError(
            f"--until is {until!r}, but {why}; expected one of {', '.join(names)}"
            f"{nearest(until, names)}"
        )
    return steps[: names.index(until) + 1]


def _check_engine_runs_here(recipe: Recipe, way_out: str) -> None:
    assert recipe.compile is not None
    isa, available = recipe.compile.isa, available_isas()
    if recipe.quantize and isa != "auto" and isa not in available:
        raise UserError(
            f"compile.isa is {isa!r} but this processor has {', '.join(available[:-1])}, so the "
            f"engine cannot be measured here; {way_out}, or set compile.isa=auto"
        )


def _check_gates_can_be_measured(recipe: Recipe) -> None:
    for number, gate in enumerate(recipe.parsed_gates):
        reason = why_not(gate.target) if gate.target else None
        if reason:
            raise UserError(
                f"gates[{number}] is {gate.text!r}, but {gate.target} cannot run here: {reason}; "
                "install what is missing, or leave the gate out and measure on the device"
            )


def _check_targets_can_be_built(recipe: Recipe) -> None:
    """Say before anything is trained that OpenVINO, which converts its target, is missing."""
    assert recipe.compile is not None
    for key, names in (("target", (recipe.compile.target,)), ("also", recipe.compile.also)):
        reason = why_not("openvino") if "openvino" in names else None
        if reason:
            raise UserError(
                f"compile.{key} has openvino, but {reason}; install it, or leave openvino out"
            )


def _records(stages: Sequence[StageResult]) -> list[dict[str, object]]:
    return [
        {"name": s.name, "seconds": s.seconds, "cached": s.cached, "summary": s.summary}
        for s in stages
    ]


def _publish(work: Path, name: str, stages: Sequence[StageResult]) -> bool:
    """Copy bundle and report to the results; return False if they are there already."""
    results, folders = work / name, {stage.name: stage.folder for stage in stages}
    marker = {"recipe": name, "stages": {stage.name: stage.fingerprint for stage in stages}}
    files = {report: folders["report"] / report for report in REPORTS}
    names = ("bundle", *REPORTS)
    untouched = all(stage.cached for stage in stages) and _marker(results) == marker
    if untouched and all((results / n).exists() for n in names):
        return False
    with FileLock(work / CACHE_FOLDER / f"publish-{name}.lock"):
        results.mkdir(exist_ok=True)
        if _marker(results) is None:
            for taken in (results / n for n in names if (results / n).exists()):
                raise UserError(
                    f"{taken} was not written by a run, expected a free place for the results; "
                    "move it away, or choose another --work or name"
                )
            write_whole(results / MARKER, "{}")  # from now on what lies here is ours to replace
        for killed in results.glob(".new-*"):
            rmtree(killed)
        with tempfile.TemporaryDirectory(dir=results, prefix=".new-") as scratch:
            shipped = folders.get("choose", folders["compile"])
            copytree(shipped / "bundle", Path(scratch) / "bundle")
            for report, source in files.items():
                copyfile(source, Path(scratch) / report)
            if (results / "bundle").exists():
                (results / "bundle").replace(Path(scratch) / "replaced")
            for n in names:
                (Path(scratch) / n).replace(results / n)
        write_whole(results / MARKER, json.dumps(marker, indent=2))
    return True


def _marker(results: Path) -> object:
    path = results / MARKER
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}

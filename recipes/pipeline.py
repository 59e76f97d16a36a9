"""The map of the project: which stages a recipe needs, in which order, and what each one reads."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from pocketbert.compress.config import OutputsWanted, outputs_wanted
from pocketbert.compress.fetch import source_fingerprint
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.eval.artifacts import Artifact

from .cache import Stage, StageCache, Step
from .schema import Recipe

EXPORT = Stage("pocketbert.deploy.export:export_onnx", version=2)
STAGES = {
    "data": Stage("pocketbert.compress.data:prepare_data"),
    "teacher": Stage("pocketbert.compress.teacher:train_teacher"),
    "transfer": Stage("pocketbert.compress.transfer:build_transfer_set"),
    "teacher-outputs": Stage("pocketbert.compress.teacher_outputs:compute_teacher_outputs"),
    "distill": Stage("pocketbert.compress.distill:distill"),
    "prune": Stage("pocketbert.compress.prune:prune"),
    "trim": Stage("pocketbert.compress.vocabulary:trim"),
    "export-teacher": EXPORT,
    "export-student": EXPORT,
    "export-pruned": EXPORT,
    "export-trimmed": EXPORT,
    "quantize": Stage("pocketbert.deploy.quantize:quantize", version=2),
    "compile": Stage("pocketbert.deploy.compile:compile_bundle", version=2),
    "evaluate": Stage("pocketbert.eval.evaluate:evaluate"),
    "report": Stage("pocketbert.eval.report:write_report"),
}
Kind = Literal["model", "onnx", "bundle"]


def plan(recipe: Recipe, cache: StageCache) -> list[Step]:
    """Return the stages of a recipe in order, without doing any.

    Raises:
        UserError: A local source of the recipe does not exist.
    """
    steps: list[Step] = []

    def stage(name: str, /, *sources: Any, **params: Any) -> Path:
        fingerprints = [source_fingerprint(s) for s in sources if not isinstance(s, float)]
        steps.append(cache.step(name, STAGES[name], params, fingerprints))
        return steps[-1].folder

    splits = (recipe.data.train, recipe.data.validation, recipe.data.test)
    data = stage("data", *splits, config=recipe.data, task=recipe.task)
    teacher = stage(
        "teacher", recipe.teacher.model, config=recipe.teacher, seed=recipe.seed, data=data
    )
    exported = stage("export-teacher", data=data, model=teacher)
    artifacts = [
        _artifact("teacher-pytorch", "Teacher, PyTorch", "model", teacher / "model", teacher),
        _artifact("teacher-onnx", "Teacher, ONNX Runtime FP32", "onnx", exported, teacher),
    ]
    model, examples = teacher, data

    if recipe.distill or recipe.prune:
        if recipe.transfer:
            tables = [table.source for table in recipe.transfer.unlabelled]
            examples = stage(
                "transfer", *tables, config=recipe.transfer, seed=recipe.seed, data=data
            )
        outputs = stage(
            "teacher-outputs",
            data=data,
            examples=examples,
            teacher=teacher,
            wanted=_outputs_wanted(recipe),
        )
    if recipe.distill:
        init = recipe.distill.student.init
        model = stage(
            "distill",
            *([] if init in ("teacher", "fresh") else [init]),
            config=recipe.distill,
            seed=recipe.seed,
            data=data,
            examples=examples,
            teacher=teacher,
            teacher_outputs=outputs,
        )
        exported = stage("export-student", data=data, model=model)
        artifacts.append(_artifact("student-onnx", "Student, FP32", "onnx", exported, model))
    if recipe.prune:
        model = stage(
            "prune",
            config=recipe.prune,
            seed=recipe.seed,
            data=data,
            examples=examples,
            student=model,
            teacher_outputs=outputs,
        )
        exported = stage("export-pruned", data=data, model=model)
        artifacts.append(_artifact("pruned-onnx", "Pruned, FP32", "onnx", exported, model))
    if recipe.trim:
        tables = [table.source for table in recipe.trim.texts]
        model = stage(
            "trim", *tables, config=recipe.trim, data=data, examples=examples, student=model
        )
        exported = stage("export-trimmed", data=data, model=model)
        artifacts.append(_artifact("trimmed-onnx", "Trimmed, FP32", "onnx", exported, model))

    quantized = None
    if recipe.quantize:
        quantized = stage("quantize", config=recipe.quantize, data=data, exported=exported)
    compiled = stage(
        "compile",
        config=_for_this_machine(recipe.compile),
        data=data,
        exported=exported,
        quantized=quantized,
        lineage={step.name: step.fingerprint for step in steps},
        name=recipe.name,
    )
    title = "Engine, INT8" if quantized else "Engine, FP32"
    artifacts.append(_artifact("engine", title, "bundle", compiled / "bundle", model))
    evaluation = stage(
        "evaluate",
        config=recipe.evaluate,
        data=data,
        artifacts=artifacts,
        teacher="teacher-pytorch",
        baseline_onnx="teacher-onnx",
        engine="engine",
    )
    stage("report", evaluation=evaluation, recipe=asdict(recipe))
    return steps


def _artifact(name: str, title: str, kind: Kind, folder: Path, model: Path) -> Artifact:
    return Artifact(
        name=name, title=title, kind=kind, folder=str(folder), model_folder=str(model / "model")
    )


def _outputs_wanted(recipe: Recipe) -> OutputsWanted:
    sections = [section for section in (recipe.distill, recipe.prune) if section]
    depth = recipe.distill.student.depth if recipe.distill else None
    return outputs_wanted([section.objectives for section in sections], depth)


def _for_this_machine(config: CompileConfig) -> CompileConfig:
    """Say `auto` out loud, so that a cache shared by two machines keeps their engines apart."""
    best = available_isas()[0]
    return replace(config, isa=best) if config.isa == "auto" and best != "any" else config

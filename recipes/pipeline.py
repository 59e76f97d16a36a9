"""The map of the project: which stages a recipe needs, in which order, and what each one reads."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from pocketbert.compress.fetch import source_fingerprint
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.eval.artifacts import Artifact

from .cache import Stage, StageCache, Step
from .schema import Recipe

EXPORT = Stage("pocketbert.deploy.export:export_onnx")
STAGES = {
    "data": Stage("pocketbert.compress.data:prepare_data"),
    "teacher": Stage("pocketbert.compress.teacher:train_teacher"),
    "teacher-outputs": Stage("pocketbert.compress.teacher_outputs:compute_teacher_outputs"),
    "distill": Stage("pocketbert.compress.distill:distill"),
    "latency-table": Stage("pocketbert.deploy.latency_table:measure_latency_table"),
    "prune": Stage("pocketbert.compress.prune:prune", version=2),
    "export-teacher": EXPORT,
    "export-student": EXPORT,
    "export-pruned": EXPORT,
    "quantize": Stage("pocketbert.deploy.quantize:quantize"),
    "compile": Stage("pocketbert.deploy.compile:compile_bundle"),
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
    model = teacher

    outputs = None
    if recipe.distill or (recipe.prune and recipe.prune.training):
        outputs = stage("teacher-outputs", data=data, teacher=teacher, **_outputs_wanted(recipe))
    if recipe.distill:
        init = recipe.distill.student.init
        model = stage(
            "distill",
            *([] if init in ("teacher", "fresh") else [init]),
            config=recipe.distill,
            seed=recipe.seed,
            data=data,
            teacher=teacher,
            teacher_outputs=outputs,
        )
        exported = stage("export-student", data=data, model=model)
        artifacts.append(_artifact("student-onnx", "Student, FP32", "onnx", exported, model))
    if recipe.prune:
        table_file = recipe.prune.latency_table
        table = None
        if recipe.prune.speedup and not table_file:
            table = stage(
                "latency-table",
                data=data,
                student=model,
                neuron_multiple=recipe.prune.neuron_multiple,
                config=_for_this_machine(recipe.compile),
                int8=recipe.quantize is not None,
            )
        model = stage(
            "prune",
            *([table_file] if table_file else []),
            config=recipe.prune,
            seed=recipe.seed,
            data=data,
            student=model,
            teacher_outputs=outputs,
            latency_table=table,
        )
        exported = stage("export-pruned", data=data, model=model)
        artifacts.append(_artifact("pruned-onnx", "Pruned, FP32", "onnx", exported, model))

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


def _outputs_wanted(recipe: Recipe) -> dict[str, Any]:
    sections = [section for section in (recipe.distill, recipe.prune) if section]
    objectives = [section.objectives for section in sections if section.objectives]
    hidden = [one.hidden for one in objectives if one.hidden]
    if not hidden or not recipe.distill:
        return {"hidden": None, "student_layers": 1}
    layers = recipe.distill.student.layers
    depth = layers if isinstance(layers, int) else len(layers)
    return {"hidden": hidden[0].positions, "student_layers": depth}


def _for_this_machine(config: CompileConfig) -> CompileConfig:
    """Say `auto` out loud, so that a cache shared by two machines keeps their engines apart."""
    best = available_isas()[0]
    return replace(config, isa=best) if config.isa == "auto" and best != "any" else config

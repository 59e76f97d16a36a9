"""The map of the project: which stages a recipe needs, in which order, and what each one reads."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pocketbert.compress.config import (
    GENERAL,
    TASK_KINDS,
    GeneralConfig,
    OutputsWanted,
    Source,
    outputs_wanted,
)
from pocketbert.compress.fetch import source_fingerprint
from pocketbert.deploy.config import ChooseConfig, CompileConfig, QuantizeConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.eval.artifacts import Artifact

from .cache import Stage, StageCache, Step
from .schema import Recipe

EXPORT = Stage("pocketbert.deploy.export:export_onnx", version=4)
SMOOTH = Stage("pocketbert.deploy.smoothquant:smooth")
CALIBRATE = Stage("pocketbert.deploy.calibrate:calibrate")
QUANTIZE = Stage("pocketbert.deploy.quantize:quantize", version=3)
COMPILE = Stage("pocketbert.deploy.compile:compile_bundle", version=5)
TEACHER_OUTPUTS = Stage("pocketbert.compress.teacher_outputs:compute_teacher_outputs")
STAGES = {
    "data": Stage("pocketbert.compress.data:prepare_data"),
    "check-tokenizers": Stage("pocketbert.compress.tokenizer_check:check_tokenizers"),
    "transfer": Stage("pocketbert.compress.transfer:build_transfer_set"),
    "general-texts": Stage("pocketbert.compress.general_texts:gather_texts"),
    "general-teacher": Stage("pocketbert.compress.general:keep_untuned_teacher"),
    "general-outputs": TEACHER_OUTPUTS,
    "general-distill": Stage("pocketbert.compress.general:distill_general"),
    "teacher": Stage("pocketbert.compress.teacher:train_teacher"),
    "further-teacher": Stage("pocketbert.compress.teacher:train_teacher"),
    "teacher-outputs": TEACHER_OUTPUTS,
    "teacher-translations": Stage(
        "pocketbert.compress.teacher_translations:translate_with_teacher"
    ),
    "distill-translator": Stage("pocketbert.compress.distill_translator:distill_translator"),
    "distill": Stage("pocketbert.compress.distill:distill"),
    "latency-table": Stage("pocketbert.deploy.latency_table:measure_latency_table"),
    "prune": Stage("pocketbert.compress.prune:prune", version=2),
    "sparsify": Stage("pocketbert.compress.sparsify:sparsify"),
    "smooth-untrained": SMOOTH,
    "calibrate-untrained": CALIBRATE,
    "quantize-untrained": QUANTIZE,
    "compile-untrained": COMPILE,
    "check-int8": Stage("pocketbert.eval.int8_check:check_int8"),
    "qat": Stage("pocketbert.compress.qat:train_quantized"),
    "trim": Stage("pocketbert.compress.vocabulary:trim"),
    "export-teacher": EXPORT,
    "export-student": EXPORT,
    "export-pruned": EXPORT,
    "export-sparse": EXPORT,
    "export-qat": EXPORT,
    "export-trimmed": EXPORT,
    "smooth": SMOOTH,
    "calibrate": CALIBRATE,
    "quantize": QUANTIZE,
    "quantize-dynamic": QUANTIZE,
    "guard-int8": Stage("pocketbert.eval.int8_guard:guard_int8"),
    "compile": COMPILE,
    "choose": Stage("pocketbert.eval.choose_targets:choose_targets"),
    "examine": Stage("pocketbert.eval.doctor.examine:examine_bundle"),
    "gates": Stage("pocketbert.eval.decide_gates:decide_gates"),
    "evaluate": Stage("pocketbert.eval.evaluate:evaluate", version=2),
    "report": Stage("pocketbert.eval.report:write_report"),
}
Kind = Literal["model", "onnx", "bundle"]


def plan(recipe: Recipe, cache: StageCache) -> list[Step]:
    """Return the stages of a recipe in order, without doing any.

    Raises:
        UserError: A local source of the recipe does not exist.
    """
    made = _Plan(cache)
    splits = (recipe.data.train, recipe.data.validation, recipe.data.test)
    sources = [split for split in splits if not isinstance(split, float)]
    data = made.stage("data", *sources, config=recipe.data, task=recipe.task)
    _check_tokenizers(made, recipe, data)
    examples = _examples(made, recipe, data)
    general = _general(made, recipe, data)
    teacher = made.stage(
        "teacher", recipe.teacher.model, config=recipe.teacher, seed=recipe.seed, data=data
    )
    if not recipe.to_engine:
        return made.steps
    made.measure("teacher-pytorch", "Teacher, PyTorch", "model", teacher / "model", teacher)
    exported = made.export("teacher", "Teacher, ONNX Runtime FP32", data, teacher)
    model, exported = _compress(made, recipe, data, examples, general, teacher, exported)
    _deploy(made, recipe, data, model, exported)
    evaluation = made.stage(
        "evaluate",
        config=recipe.evaluate,
        data=data,
        artifacts=made.artifacts,
        teacher="teacher-pytorch",
        baseline_onnx="teacher-onnx",
        engine="engine",
    )
    examined = made.stage("examine", data=data, compiled=made.shipped)
    gates = recipe.parsed_gates
    # Given only where there are some, so that reports without any stay valid.
    decided: dict[str, Any] = (
        {"gates": made.stage("gates", gates=gates, evaluation=evaluation)} if gates else {}
    )
    made.stage("report", evaluation=evaluation, recipe=asdict(recipe), doctor=examined, **decided)
    return made.steps


def _check_tokenizers(made: "_Plan", recipe: Recipe, data: Path) -> None:
    """Add what finds out before training that a later stage cannot use a tokenizer."""
    student = _tokenizer_source(recipe)
    over_tokens = _outputs_wanted(recipe).over_tokens or (
        recipe.general is not None and general_outputs_wanted(recipe.general).over_tokens
    )
    other = student != recipe.teacher.model
    shared = other and over_tokens
    read = other and recipe.general is not None and recipe.general.objectives.masked_tokens
    augment = recipe.transfer.augment if recipe.transfer else None
    masked = augment.masked if augment else None
    further = [config.model for config in recipe.further_teachers] if masked else []
    # Given only where they are used, because every argument counts in a stage's fingerprint.
    hidden: dict[str, Any] = (
        {"mask_token": masked.token, "further_teachers": further} if masked else {}
    )
    if read:
        hidden["same_vocabulary"] = True
    if shared or recipe.trim or hidden:
        made.stage(
            "check-tokenizers",
            recipe.teacher.model,
            student,
            *further,
            teacher=recipe.teacher.model,
            student=student,
            shared=shared,
            trimmed=recipe.trim is not None,
            data=data,
            **hidden,
        )


def _examples(made: "_Plan", recipe: Recipe, data: Path) -> Path:
    """Return the folder whose train.jsonl is learned from.

    New texts are made before the teacher is trained, so that what they need is refused early.
    """
    transfer = recipe.transfer
    if transfer is None:
        return data
    sources = [table.source for table in transfer.unlabelled]
    if transfer.augment and transfer.augment.masked_words:
        sources.append(transfer.augment.masked_words.model)
    return made.stage("transfer", *sources, config=transfer, seed=recipe.seed, data=data)


def _general(made: "_Plan", recipe: Recipe, data: Path) -> Path | None:
    """Add what teaches a student on plain text; return the folder of its checkpoint."""
    general = recipe.general
    if general is None:
        return None
    texts = made.stage(
        "general-texts",
        *[table.source for table in general.texts],
        texts=general.texts,
        validation=general.validation,
        data=data,
    )
    # Given only where it is used, because every argument counts in a stage's fingerprint.
    head: dict[str, Any] = {"head": True} if general.objectives.masked_tokens else {}
    teacher = made.stage(
        "general-teacher",
        recipe.teacher.model,
        model=recipe.teacher.model,
        seed=recipe.seed,
        texts=texts,
        cut=general.student.checkpoint is None,
        **head,
    )
    outputs = made.stage(
        "general-outputs",
        data=texts,
        examples=texts,
        teacher=teacher,
        wanted=general_outputs_wanted(general),
    )
    init = general.student.checkpoint
    return made.stage(
        "general-distill",
        *([init] if init else []),
        config=general,
        seed=recipe.seed,
        texts=texts,
        teacher=teacher,
        teacher_outputs=outputs,
    )


def _compress(
    made: "_Plan",
    recipe: Recipe,
    data: Path,
    examples: Path,
    general: Path | None,
    teacher: Path,
    exported: Path,
) -> tuple[Path, Path]:
    """Add what makes the model smaller; return the folders of the last model and its export."""
    if TASK_KINDS[recipe.task.kind].generates:
        return _compress_translator(made, recipe, data, teacher, exported)
    outputs = _teacher_outputs(made, recipe, data, examples, teacher)
    learning: dict[str, Any] = {
        "seed": recipe.seed,
        "data": data,
        "examples": examples,
        "teacher_outputs": outputs,
    }
    model = teacher
    if recipe.distill:
        init = recipe.distill.student.checkpoint
        # Given only where it is used, so that students that start elsewhere stay valid.
        start: dict[str, Any] = {"general": general} if general else {}
        model = made.stage(
            "distill",
            *([init] if init else []),
            config=recipe.distill,
            teacher=teacher,
            **start,
            **learning,
        )
        exported = made.export("student", "Student, FP32", data, model)
    if recipe.prune:
        table = _latency_table(made, recipe, data, model)
        table_file = recipe.prune.latency_table
        model = made.stage(
            "prune",
            *([table_file] if table_file else []),
            config=recipe.prune,
            student=model,
            latency_table=table,
            **learning,
        )
        exported = made.export("pruned", "Pruned, FP32", data, model)
    if recipe.sparsify:
        model = made.stage("sparsify", config=recipe.sparsify, student=model, **learning)
        exported = made.export("sparse", "Sparse, FP32", data, model)
    if recipe.qat:
        # Given only where it is wanted, because every argument counts in a stage's fingerprint.
        checked = _check_int8(made, recipe, data, exported)
        fallback: dict[str, Any] = {"int8_check": checked} if checked else {}
        model = made.stage("qat", config=recipe.qat, student=model, **learning, **fallback)
        exported = made.export("qat", "Quantization-aware, FP32", data, model)
    if recipe.trim:
        tables = [table.source for table in recipe.trim.texts]
        model = made.stage(
            "trim", *tables, config=recipe.trim, data=data, examples=examples, student=model
        )
        exported = made.export("trimmed", "Trimmed, FP32", data, model)
    return model, exported


def _compress_translator(
    made: "_Plan", recipe: Recipe, data: Path, teacher: Path, exported: Path
) -> tuple[Path, Path]:
    """Add the student of a translator, which asks its teacher while it learns."""
    if not recipe.distill:
        return teacher, exported
    beams = recipe.distill.teacher_beams
    # Given only where it is wanted, because every argument counts in a stage's fingerprint.
    written: dict[str, Any] = {}
    if beams is not None:
        written["translations"] = made.stage(
            "teacher-translations", beams=beams, data=data, teacher=teacher
        )
    model = made.stage(
        "distill-translator",
        config=recipe.distill,
        seed=recipe.seed,
        data=data,
        teacher=teacher,
        **written,
    )
    return model, made.export("student", "Student, FP32", data, model)


def _teacher_outputs(
    made: "_Plan", recipe: Recipe, data: Path, examples: Path, teacher: Path
) -> Path | None:
    """Add what the teachers say, where something learns from it."""
    if not any(section.training for section in recipe.learning.values()):
        return None
    further = _further_teachers(made, recipe, data)
    # Given only where there are some, so that what was kept of one teacher stays valid.
    together: dict[str, Any] = {"further_teachers": further} if further else {}
    return made.stage(
        "teacher-outputs",
        data=data,
        examples=examples,
        teacher=teacher,
        wanted=_outputs_wanted(recipe),
        **together,
    )


def _further_teachers(made: "_Plan", recipe: Recipe, data: Path) -> list[Path]:
    """Add the other teachers; each starts from a seed of its own, so that they differ."""
    return [
        made.stage(
            "further-teacher",
            config.model,
            config=config,
            seed=(recipe.seed + number) % 2**32,
            data=data,
            number=number,
        )
        for number, config in enumerate(recipe.further_teachers, start=1)
    ]


def _check_int8(made: "_Plan", recipe: Recipe, data: Path, exported: Path) -> Path | None:
    """Add an engine that was not trained for INT8, where it decides whether that is needed."""
    if not recipe.qat or recipe.qat.only_below is None:
        return None
    compiled = _engine(made, recipe, data, exported, "-untrained")
    return made.stage("check-int8", data=data, exported=exported, compiled=compiled)


def _latency_table(made: "_Plan", recipe: Recipe, data: Path, student: Path) -> Path | None:
    """Add its measurement where a speed-up is asked for and no table given."""
    if not recipe.prune or not recipe.prune.speedup or recipe.prune.latency_table:
        return None
    return made.stage(
        "latency-table",
        data=data,
        student=student,
        neuron_multiple=recipe.prune.neuron_multiple,
        config=_for_this_machine(recipe.compile),
        int8=recipe.quantize is not None,
    )


def _deploy(made: "_Plan", recipe: Recipe, data: Path, model: Path, exported: Path) -> None:
    """Add what makes an engine of the exported model."""
    compiled = _engine(made, recipe, data, exported)
    compiling = _for_this_machine(recipe.compile)
    if compiling.target == "auto":
        compiled = made.stage(
            "choose",
            config=compiling.choose or ChooseConfig(),
            threads=compiling.threads,
            data=data,
            exported=exported,
            compiled=compiled,
        )
        title = "Engine, chosen"
    else:
        title = "Engine, INT8" if recipe.quantize else "Engine, FP32"
    bundle = compiled / "bundle"
    made.measure("engine", title, "bundle", bundle, model)
    named = {gate.target for gate in recipe.parsed_gates} - {None, compiling.target}
    for target in sorted(target for target in named if target):
        made.measure(f"engine-{target}", f"Engine, {target}", "bundle", bundle, model, target)


def _engine(
    made: "_Plan", recipe: Recipe, data: Path, exported: Path, which: Literal["", "-untrained"] = ""
) -> Path:
    """Add quantization and compilation; return the folder of the latter."""
    quantized: Path | None = None
    more: dict[str, Any] = {}
    if recipe.quantize:
        exported, quantized = _quantize(made, recipe.quantize, data, exported, which)
        if not which and recipe.compile and recipe.compile.target == "auto":
            config = QuantizeConfig(method="dynamic", embeddings=recipe.quantize.embeddings)
            dynamic = made.stage(
                "quantize-dynamic", config=config, calibrated=None, exported=exported
            )
            more = {"dynamic": dynamic}
    return made.stage(
        f"compile{which}",
        config=_for_this_machine(recipe.compile),
        data=data,
        exported=exported,
        quantized=quantized,
        lineage={step.name: step.fingerprint for step in made.steps},
        name=recipe.name,
        **more,
    )


def _quantize(
    made: "_Plan", config: QuantizeConfig, data: Path, exported: Path, which: str
) -> tuple[Path, Path]:
    """Add what makes INT8; return the folders of the float model that it is of, and of its own."""
    seen: dict[str, Any] = {"examples": config.calibration_examples, "data": data}
    if config.method == "smoothquant":
        exported = made.stage(f"smooth{which}", alpha=config.alpha, exported=exported, **seen)
    calibrated = None
    if config.calibrated:
        table = config.calibration_table
        sources = [table] if table else []
        calibrated = made.stage(
            f"calibrate{which}", *sources, table=table, exported=exported, **seen
        )
    reading: dict[str, Any] = {"calibrated": calibrated, "exported": exported}
    quantized = made.stage(f"quantize{which}", config=replace(config, guard=None), **reading)
    if config.guard and not which:  # an engine that is only tried shows what INT8 costs as it is
        quantized = made.stage(
            "guard-int8", config=config, data=data, quantized=quantized, **reading
        )
    return exported, quantized


@dataclass(frozen=True)
class _Plan:
    """The stages planned so far, and what of theirs will be measured."""

    cache: StageCache
    steps: list[Step] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)

    def stage(
        self, name: str, /, *sources: Source, number: int | None = None, **params: Any
    ) -> Path:
        """Add a stage and return its folder; a number tells several of a kind apart."""
        fingerprints = [source_fingerprint(source) for source in sources]
        step = name if number is None else f"{name}-{number}"
        self.steps.append(self.cache.step(step, STAGES[name], params, fingerprints))
        return self.steps[-1].folder

    @property
    def shipped(self) -> Path:
        """Folder of the stage whose bundle ships."""
        return Path(next(one.folder for one in self.artifacts if one.name == "engine")).parent

    def export(self, name: str, title: str, data: Path, model: Path) -> Path:
        """Add the export of a model, which is measured as it is."""
        exported = self.stage(f"export-{name}", data=data, model=model)
        self.measure(f"{name}-onnx", title, "onnx", exported, model)
        return exported

    def measure(
        self,
        name: str,
        title: str,
        kind: Kind,
        folder: Path,
        model: Path,
        target: str | None = None,
    ) -> None:
        """Let the evaluation measure what lies in a folder."""
        self.artifacts.append(
            Artifact(
                name=name,
                title=title,
                kind=kind,
                folder=str(folder),
                model_folder=str(model / "model"),
                target=target,
            )
        )


def _tokenizer_source(recipe: Recipe) -> Source:
    """Return the checkpoint whose tokenizer the student takes over."""
    student = recipe.distill.student if recipe.distill else None
    if student and student.init == GENERAL and recipe.general:
        student = recipe.general.student
    return (student.checkpoint if student else None) or recipe.teacher.model


def general_outputs_wanted(general: GeneralConfig) -> OutputsWanted:
    """Say what a general section compares of its teacher's states."""
    wanted = outputs_wanted([general.objectives], general.student.depth)
    return replace(wanted, of_validation=True)  # there are no labels to choose by


def _outputs_wanted(recipe: Recipe) -> OutputsWanted:
    objectives = [one.objectives for one in recipe.learning.values() if one.objectives]
    depth = recipe.distill.student.depth if recipe.distill else None
    return outputs_wanted(objectives, depth)


def _for_this_machine(config: CompileConfig | None) -> CompileConfig:
    """Say `auto` out loud, so that a cache shared by two machines keeps their engines apart."""
    assert config is not None  # the schema wants one where there is an engine
    best = available_isas()[0]
    if config.isa != "auto" or best == "any":
        return config
    others = tuple(isa for isa in config.also_isa if isa != best)
    return replace(config, isa=best, also_isa=others)

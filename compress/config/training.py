"""How a model is trained, and the teacher, which is nothing else."""

from dataclasses import dataclass, field
from typing import Literal

from .checks import ADDED_LATER, STRICT, check, check_fraction, check_positive
from .sources import Source


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast a model learns.

    Attributes:
        epochs: Passes over the training examples.
        learning_rate: Peak of the linear schedule.
        batch_size: Examples per step.
        warmup_fraction: Share of the steps during which the rate rises.
        weight_decay: AdamW's decoupled decay.
        dropout: Share of activations dropped in training; None is the model's own. Drawing random
            numbers is slow on a CPU.
        evaluations_per_epoch: How often the validation split is scored and a checkpoint kept.
        patience: Stop after this many evaluations without a better score.
        precision: `auto` takes BF16 autocast only where it was measured faster.
        freeze_words: The word table stays as it is, which saves most of a step's time and memory
            where that table is most of the model.
    """

    __pydantic_config__ = STRICT
    epochs: float
    learning_rate: float
    batch_size: int = 32
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    dropout: float | None = None
    evaluations_per_epoch: int = 2
    patience: int = 4
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    freeze_words: bool = field(default=False, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_positive("epochs", self.epochs)
        check_positive("learning_rate", self.learning_rate)
        check(
            self.learning_rate < 0.1,
            f"learning_rate is {self.learning_rate:g}, expected below 0.1 (2e-5 to 5e-4 is usual)",
        )
        check_positive("batch_size", self.batch_size)
        check_fraction("warmup_fraction", self.warmup_fraction)
        check_fraction("weight_decay", self.weight_decay)
        if self.dropout is not None:
            check_fraction("dropout", self.dropout)
        check_positive("evaluations_per_epoch", self.evaluations_per_epoch)
        check_positive("patience", self.patience)


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """What writes a text, on an encoder; as wide as that.

    Attributes:
        layers: How many.
        vocabulary: Tokens of the language that is written, at most; they are learned from the
            training split.
        encoder_layers: How many of the checkpoint's layers read the text, spread evenly; None is
            all of them.
    """

    __pydantic_config__ = STRICT
    layers: int
    vocabulary: int = 4000
    encoder_layers: int | None = None

    def __post_init__(self) -> None:
        check_positive("layers", self.layers)
        if self.encoder_layers is not None:
            check_positive("encoder_layers", self.encoder_layers)
        check(
            16 <= self.vocabulary <= 65536,
            f"vocabulary is {self.vocabulary}, expected 16 to 65536 tokens",
        )


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The full model and its fine-tuning.

    Attributes:
        model: Any encoder that transformers' auto classes load.
        training: Fine-tuning on the task's labels; none where its vectors are learned from, which
            are taken as they are.
        decoder: What writes the answer, where that is a text.
        head_learning_rate: Peak of the new head's own schedule; None is that of `training`. A head
            on states that hardly differ, such as the last ones of a sentence encoder, has to become
            large, which takes it long at the rate of weights that are good already.
    """

    __pydantic_config__ = STRICT
    model: Source
    training: TrainingConfig | None
    decoder: DecoderConfig | None = field(default=None, metadata=ADDED_LATER)
    head_learning_rate: float | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if self.head_learning_rate is not None:
            check_positive("head_learning_rate", self.head_learning_rate)
            check(
                self.head_learning_rate < 0.1,
                f"head_learning_rate is {self.head_learning_rate:g}, expected below 0.1 (1e-3 to "
                "5e-3 is usual)",
            )

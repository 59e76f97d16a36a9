"""The student, and the stages that make and shrink it."""

import math
from dataclasses import dataclass, field
from typing import Literal

from .checks import ADDED_LATER, STRICT, check, check_fraction, check_positive
from .data import UnlabelledConfig
from .objectives import EMBEDDINGS, ObjectivesConfig
from .scores import ScoresConfig
from .sources import Source
from .training import TrainingConfig

MOST_BEAMS = 16  # of a teacher that writes

# What `init` says of the checkpoint that the recipe's own `general` section makes.
GENERAL = "general"


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
            weights in the teacher's shape, `general` is what the recipe's section of that name
            makes, anything else is the source of a checkpoint.
        layers: How many layers (spread evenly over the initial model's), or which, from 0.
        hidden_size: Width, if smaller than the initial model's.
        intermediate_size: Feed-forward width, if smaller than the initial model's.
        embedding_rank: Rank of two factors that stand for the word table; none keeps it whole.
        bilstm: The LSTM's widths.
        decoder_layers: Where a text is written, how many layers the decoder has (spread evenly over
            the teacher's).
    """

    __pydantic_config__ = STRICT
    init: Source = "teacher"
    layers: int | tuple[int, ...] | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    embedding_rank: int | None = field(default=None, metadata=ADDED_LATER)
    bilstm: BilstmConfig | None = None
    decoder_layers: int | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if self.bilstm is None:
            check(
                self.layers is not None,
                "layers is missing, expected how many layers the student has, or which (or a "
                "bilstm section)",
            )
        for name in ("layers", "hidden_size", "intermediate_size", "embedding_rank"):
            check(
                self.bilstm is None or getattr(self, name) is None,
                f"{name} is {getattr(self, name)}, expected none (null) beside bilstm, whose "
                "widths stand in its own section",
            )
        if isinstance(self.layers, int):
            check_positive("layers", self.layers)
        elif self.layers is not None:
            rising = tuple(sorted(set(self.layers)))
            check(
                len(self.layers) > 0 and self.layers == rising and rising[0] >= 0,
                f"layers is {list(self.layers)}, expected distinct layer numbers in rising order",
            )
        for name in ("hidden_size", "intermediate_size", "embedding_rank", "decoder_layers"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        if self.embedding_rank is not None and self.hidden_size is not None:
            check(
                self.embedding_rank < self.hidden_size,
                f"embedding_rank is {self.embedding_rank}, expected below hidden_size "
                f"{self.hidden_size} (or none (null), which keeps the word table whole)",
            )

    @property
    def depth(self) -> int:
        """Number of transformer layers, 0 for a BiLSTM."""
        return self.layers if isinstance(self.layers, int) else len(self.layers or ())

    @property
    def checkpoint(self) -> Source | None:
        """The source of the initial model, None for a model of the recipe's own."""
        return None if self.init in ("teacher", "fresh", GENERAL) else self.init


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """The student, what it learns from and for how long.

    Attributes:
        student: Its shape.
        objectives: What it learns from.
        training: For how long.
        teacher_beams: Where a text is written: the student learns what the teacher writes with so
            many beams, in place of the right texts (Kim and Rush 2016).
    """

    __pydantic_config__ = STRICT
    student: StudentConfig
    objectives: ObjectivesConfig
    training: TrainingConfig
    teacher_beams: int | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check(
            self.teacher_beams is None or 1 <= self.teacher_beams <= MOST_BEAMS,
            f"teacher_beams is {self.teacher_beams}, expected 1 to {MOST_BEAMS}",
        )
        if self.student.bilstm is None:
            return
        for name, config in self.objectives.chosen.items():
            check(
                not config.teacher_states,
                f"objectives.{name} is a section, expected none (null) with student.bilstm, which "
                "has no layers that match the teacher's",
            )


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """What of the student is removed for good, and how it recovers.

    Attributes:
        layers: Whole layers to remove, before heads and neurons.
        heads: Fraction of attention heads to remove.
        neurons: Fraction of feed-forward neurons to remove.
        hidden: Fraction of the residual stream's dimensions to remove; heads keep their size.
        speedup: Instead of fractions, how many times faster the encoder is to be by the latency
            table.
        latency_table: File of a latency table measured elsewhere; measured here if not given.
        neuron_multiple: Feed-forward widths land on multiples of this.
        hidden_multiple: The residual stream's width lands on a multiple of this.
        steps: Steps in which units go; importance is measured anew before each.
        importance_examples: Training examples on which importance is measured and weights are
            reconstructed.
        reconstruction: Fit the remaining weights to the unpruned model after each step.
        scores: Learned scores of heads and neurons; importance is measured without a training if
            not given.
        objectives: What the pruned student learns from; none without training.
        training: How long it recovers; none leaves the pruned student as it is.
    """

    __pydantic_config__ = STRICT
    layers: int = 0
    heads: float = 0.0
    neurons: float = 0.0
    hidden: float = field(default=0.0, metadata=ADDED_LATER)
    speedup: float | None = None
    latency_table: str | None = None
    neuron_multiple: int = 64
    hidden_multiple: int = field(default=32, metadata=ADDED_LATER)
    steps: int = 1
    importance_examples: int = 512
    reconstruction: Literal["none", "least_squares"] = "none"
    scores: ScoresConfig | None = field(default=None, metadata=ADDED_LATER)
    objectives: ObjectivesConfig | None = None
    training: TrainingConfig | None = None

    def __post_init__(self) -> None:
        check(
            self.layers >= 0, f"layers is {self.layers}, expected how many layers to remove, from 0"
        )
        check_fraction("heads", self.heads)
        check_fraction("neurons", self.neurons)
        check_fraction("hidden", self.hidden)
        amount = self.layers + self.heads + self.neurons + self.hidden
        if self.speedup is None:
            check(
                amount > 0,
                "speedup is empty and layers, heads, neurons and hidden are 0, expected one of "
                "them above 0 (or leave out the prune section)",
            )
            check(
                self.latency_table is None,
                f"speedup is empty but latency_table is {self.latency_table!r}, expected a speedup "
                "that the table decides on",
            )
        else:
            check(
                1 < self.speedup < math.inf,
                f"speedup is {self.speedup:g}, expected a number above 1 (2.0 is twice as fast)",
            )
            check(
                amount == 0,
                f"speedup is {self.speedup:g} beside layers {self.layers}, heads {self.heads:g}, "
                f"neurons {self.neurons:g} and hidden {self.hidden:g}, expected either a speedup "
                "or what to remove; set the others to 0",
            )
        check_positive("neuron_multiple", self.neuron_multiple)
        check_positive("hidden_multiple", self.hidden_multiple)
        check_positive("steps", self.steps)
        check_positive("importance_examples", self.importance_examples)
        for missing, given in (("training", "objectives"), ("objectives", "training")):
            check(
                getattr(self, missing) is not None or getattr(self, given) is None,
                f"{missing} is empty but {given} is given, expected both, or neither (null) to "
                "leave the pruned student as it is",
            )
        self._check_scores()
        self._check_layer_pairs("objectives", self.objectives)

    @property
    def scores_objectives(self) -> ObjectivesConfig | None:
        """What the student learns from while scores are learned."""
        return (self.scores.objectives if self.scores else None) or self.objectives

    def _check_scores(self) -> None:
        if self.scores is None:
            return
        check(
            self.speedup is None,
            f"speedup is {self.speedup or 0:g}, expected none (null) beside scores, which aim at "
            "fractions; set heads and neurons",
        )
        check(
            self.heads + self.neurons > 0,
            "scores is a section, expected none (null) where neither heads nor neurons go",
        )
        check(
            self.steps == 1,
            f"steps is {self.steps}, expected 1 beside scores, which are learned once",
        )
        check(
            self.scores_objectives is not None,
            "scores.objectives is missing, expected what the student learns from meanwhile, "
            "because prune has no objectives that it could share",
        )
        self._check_layer_pairs("scores.objectives", self.scores.objectives)

    def _check_layer_pairs(self, section: str, objectives: ObjectivesConfig | None) -> None:
        chosen = objectives.chosen if objectives else {}
        for name, config in chosen.items() if self.layers else ():
            layers = {layers for _, layers in config.teacher_states}
            check(
                layers <= {"last", (EMBEDDINGS,)},
                f"layers is {self.layers} beside {section}.{name}, which pairs layers before it "
                "is known which stay, expected 0, or layers 'last' in that objective",
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

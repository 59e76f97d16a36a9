"""What a student learns from, and what must be kept of the teacher for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Literal

from .checks import ADDED_LATER, STRICT, check, check_fraction, check_positive

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
    def answers(self) -> Literal["labels", "vectors"] | None:
        """Which answers it compares; None: states inside the models, whatever they answer."""
        return None

    @property
    def over_tokens(self) -> bool:
        """Whether it compares token by token, so that both models must cut texts alike."""
        return bool(self.teacher_states)

    @property
    def on_plain_text(self) -> bool:
        """Whether it can be learned before any task."""
        return bool(self.teacher_states)


@dataclass(frozen=True, kw_only=True)
class OfLabelsConfig(ObjectiveConfig):
    """What objectives on the logits of labels have."""

    @property
    def answers(self) -> Literal["labels", "vectors"] | None:
        """Labels."""
        return "labels"


@dataclass(frozen=True, kw_only=True)
class OfVectorsConfig(ObjectiveConfig):
    """What objectives on vectors have."""

    @property
    def answers(self) -> Literal["labels", "vectors"] | None:
        """Vectors."""
        return "vectors"


@dataclass(frozen=True, kw_only=True)
class SoftTargetsConfig(OfLabelsConfig):
    """KL divergence to the teacher's softened probabilities (Hinton et al. 2015)."""

    temperature: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("temperature", self.temperature)


@dataclass(frozen=True, kw_only=True)
class LogitsConfig(OfLabelsConfig):
    """Squared error to the teacher's logits (Ba and Caruana 2014)."""


@dataclass(frozen=True, kw_only=True)
class CosineConfig(OfVectorsConfig):
    """One minus the cosine of the student's and the teacher's vector of a text."""


@dataclass(frozen=True, kw_only=True)
class SimilaritiesConfig(OfVectorsConfig):
    """Squared error to the teacher's cosines between all texts of a batch (Tung and Mori 2019)."""


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
        check(
            self.layer == "last" or self.layer >= 0,
            f"layer is {self.layer}, expected 'last' or a teacher layer from 0 on",
        )

    @property
    def teacher_states(self) -> tuple[tuple[StateKind, LayerMap], ...]:
        """Which of the teacher's states it compares."""
        layers: LayerMap = self.layer if self.layer == "last" else (self.layer,)
        return (("query", layers), ("key", layers), ("value", layers))


@dataclass(frozen=True, kw_only=True)
class MaskedTokensConfig(ObjectiveConfig):
    """KL divergence to what the teacher reads in place of hidden tokens (Sanh et al. 2019).

    Attributes:
        fraction: Share of each text's tokens that both have to read from their neighbours.
        temperature: Softens both distributions over the vocabulary.
        labels: Factor, beside the divergence, of the cross-entropy to the tokens that stood there.
    """

    fraction: float = 0.15
    temperature: float = 2.0
    labels: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("fraction", self.fraction, low_open=True)
        check_positive("temperature", self.temperature)
        check(self.labels >= 0, f"labels is {self.labels:g}, expected a factor from 0 on")

    @property
    def on_plain_text(self) -> bool:
        """Whether it can be learned before any task."""
        return True


@dataclass(frozen=True, kw_only=True)
class LabelsConfig(OfLabelsConfig):
    """Cross-entropy to the labels; examples labelled -100 have none."""


@dataclass(frozen=True, kw_only=True)
class ObjectivesConfig:
    """What the student learns from; the loss is the weighted sum of those given."""

    __pydantic_config__ = STRICT
    soft_targets: SoftTargetsConfig | None = None
    logits: LogitsConfig | None = None
    cosine: CosineConfig | None = field(default=None, metadata=ADDED_LATER)
    similarities: SimilaritiesConfig | None = field(default=None, metadata=ADDED_LATER)
    hidden: HiddenConfig | None = None
    patient: PatientConfig | None = None
    embeddings: EmbeddingsConfig | None = None
    attention: AttentionConfig | None = None
    relations: RelationsConfig | None = None
    masked_tokens: MaskedTokensConfig | None = field(default=None, metadata=ADDED_LATER)
    labels: LabelsConfig | None = None

    def __post_init__(self) -> None:
        names = ", ".join(each.name for each in fields(self))
        check(len(self.chosen) > 0, f"objectives is empty, expected at least one of {names}")

    @property
    def chosen(self) -> dict[str, ObjectiveConfig]:
        """The objectives that are given, by name."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: config for name, config in found.items() if config is not None}


@dataclass(frozen=True, kw_only=True)
class OutputsWanted:
    """What is kept of the teacher beside its logits, as far as a recipe can say it.

    Attributes:
        states: Kinds of states and the layers they are taken from.
        over_tokens: Keep every token's state, else the first token's only.
        student_layers: The depth that `uniform` spreads over; None is the teacher's own.
        of_validation: Keep the states of the validation split too.
        masked_fraction: Hide this share of the tokens of every text, and keep the last hidden state
            of those.
    """

    states: tuple[tuple[StateKind, LayerMap], ...] = ()
    over_tokens: bool = False
    student_layers: int | None = None
    of_validation: bool = field(default=False, metadata=ADDED_LATER)
    masked_fraction: float | None = field(default=None, metadata=ADDED_LATER)


def outputs_wanted(
    objectives: Iterable[ObjectivesConfig], student_layers: int | None
) -> OutputsWanted:
    """Collect what several sections' objectives compare; what no one needs does not count."""
    objectives = list(objectives)
    fractions = [one.masked_tokens.fraction for one in objectives if one.masked_tokens]
    configs = [config for section in objectives for config in section.chosen.values()]
    states = {state for config in configs for state in config.teacher_states}
    needs_depth = any(layers == "uniform" for _, layers in states)
    return OutputsWanted(
        states=tuple(sorted(states, key=str)),
        over_tokens=any(config.over_tokens for config in configs),
        student_layers=student_layers if needs_depth else None,
        masked_fraction=fractions[0] if fractions else None,
    )


def _check_weight(weight: Weight) -> None:
    if isinstance(weight, tuple):
        check(
            len(weight) >= 2 and min(weight) >= 0 < max(weight),
            f"weight is {list(weight)}, expected one number, or two or more from 0 on, not all 0",
        )
    else:
        check_positive("weight", weight)


def _check_layers(layers: LayerMap) -> None:
    if isinstance(layers, tuple):
        check(
            len(layers) > 0 and min(layers) >= 0,
            f"layers is {list(layers)}, expected teacher layers from 0 on, one a student layer",
        )

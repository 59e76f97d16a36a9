"""Single weights that become zero."""

from dataclasses import dataclass
from typing import Literal

from .checks import STRICT, check, check_fraction, check_positive
from .objectives import ObjectivesConfig
from .training import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class SparsifyConfig:
    """Which weights of the encoder's matrices become zero, and how the student gets used to it.

    Attributes:
        pattern: `unstructured` takes them anywhere, `2:4` two of every four along the inputs.
        sparsity: Fraction of weights that become zero; of `2:4` it is one half.
        scores: What decides: the weight's `magnitude`, or its `movement` away from zero.
        reached: Share of the training after which masks no longer change; up to there
            unstructured sparsity grows along a cubic curve.
        update_every: Steps between two choices of the masks.
        objectives: What the student learns from meanwhile; none without training.
        training: How long it learns; none takes the weights away at once.
    """

    __pydantic_config__ = STRICT
    pattern: Literal["unstructured", "2:4"]
    sparsity: float | None = None
    scores: Literal["magnitude", "movement"] = "magnitude"
    reached: float = 0.5
    update_every: int = 20
    objectives: ObjectivesConfig | None = None
    training: TrainingConfig | None = None

    def __post_init__(self) -> None:
        if self.pattern == "2:4":
            check(
                self.sparsity is None,
                f"sparsity is {self.sparsity}, expected none (null) beside pattern 2:4, which "
                "takes two of every four",
            )
            check(
                self.scores == "magnitude",
                f"scores is {self.scores!r}, expected 'magnitude' beside pattern 2:4, whose masks "
                "are needed before anything has moved",
            )
        else:
            check(
                self.sparsity is not None,
                "sparsity is missing, expected a fraction of weights beside pattern unstructured",
            )
        if self.sparsity is not None:
            check_fraction("sparsity", self.sparsity, low_open=True)
        check_fraction("reached", self.reached)
        check_positive("update_every", self.update_every)
        for missing, given in (("training", "objectives"), ("objectives", "training")):
            check(
                getattr(self, missing) is not None or getattr(self, given) is None,
                f"{missing} is empty but {given} is given, expected both, or neither (null) to "
                "take the weights away at once",
            )
        check(
            self.scores == "magnitude" or self.training is not None,
            "scores is 'movement' without training, expected 'magnitude', or a training in which "
            "weights move",
        )

"""Scores of heads and neurons that are learned before any of them go."""

from dataclasses import dataclass
from typing import Literal

from .checks import STRICT, check, check_fraction, check_positive
from .objectives import ObjectivesConfig
from .training import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ScoresConfig:
    """How it is learned which heads and neurons the student can do without.

    Attributes:
        method: `l0` trains gates that close at random (hard concrete), `movement` sums up how the
            training pulls at each unit.
        gate_learning_rate: Of `l0`, the peak rate of gates and multipliers; the student's own is
            `training.learning_rate`.
        reached: Share of the training after which the full number of units is to be off.
        objectives: What the student learns from meanwhile; the prune section's if not given.
        training: How long it learns. The last evaluation's weights are kept, so that `patience`
            has no say.
    """

    __pydantic_config__ = STRICT
    method: Literal["l0", "movement"]
    gate_learning_rate: float | None = None
    reached: float = 0.5
    objectives: ObjectivesConfig | None = None
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.method == "l0":
            check(
                self.gate_learning_rate is not None,
                "gate_learning_rate is missing, expected a number beside method l0 (0.1 for some "
                "hundred steps, 0.01 for many thousand)",
            )
        else:
            check(
                self.gate_learning_rate is None,
                f"gate_learning_rate is {self.gate_learning_rate}, expected none (null) beside "
                f"method {self.method}, which has no gates",
            )
        if self.gate_learning_rate is not None:
            check_positive("gate_learning_rate", self.gate_learning_rate)
            check(
                self.gate_learning_rate <= 1,
                f"gate_learning_rate is {self.gate_learning_rate:g}, expected at most 1; a gate is "
                "shut after a change of 5",
            )
        check_fraction("reached", self.reached, low_open=True)

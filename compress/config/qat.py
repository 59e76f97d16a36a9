"""Learning to live with INT8."""

from dataclasses import dataclass, field
from typing import Literal

from .checks import ADDED_LATER, STRICT, check_fraction, check_positive
from .objectives import ObjectivesConfig
from .training import TrainingConfig

# A narrower product (the classifier's) costs nothing in float and decides the answer.
MIN_CHANNELS = 16


@dataclass(frozen=True, kw_only=True)
class QatConfig:
    """Quantization-aware training: the student learns while it sees itself in INT8.

    Attributes:
        only_below: Train only where INT8 without it keeps less than this share of the float model's
            accuracy on the validation split; none always trains.
        weight_bits: 7 for x86-64 without VNNI, whose products of 8 bits saturate; else 8.
        calibration_examples: Training texts that set the activations' ranges at the start.
        objectives: What the student learns from meanwhile.
        training: How long it learns.
    """

    __pydantic_config__ = STRICT
    only_below: float | None = field(default=None, metadata=ADDED_LATER)
    weight_bits: Literal[7, 8] = 7
    calibration_examples: int = 256
    objectives: ObjectivesConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.only_below is not None:
            check_fraction("only_below", self.only_below, low_open=True)
        check_positive("calibration_examples", self.calibration_examples)

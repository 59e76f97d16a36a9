"""Learning to live with INT8."""

from dataclasses import dataclass
from typing import Literal

from .checks import STRICT, check_positive
from .objectives import ObjectivesConfig
from .training import TrainingConfig

# A narrower product (the classifier's) costs nothing in float and decides the answer.
MIN_CHANNELS = 16


@dataclass(frozen=True, kw_only=True)
class QatConfig:
    """Quantization-aware training: the student learns while it sees itself in INT8.

    Attributes:
        weight_bits: 7 for x86-64 without VNNI, whose products of 8 bits saturate; else 8.
        calibration_examples: Training texts that set the activations' ranges at the start.
        objectives: What the student learns from meanwhile.
        training: How long it learns.
    """

    __pydantic_config__ = STRICT
    weight_bits: Literal[7, 8] = 7
    calibration_examples: int = 256
    objectives: ObjectivesConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check_positive("calibration_examples", self.calibration_examples)

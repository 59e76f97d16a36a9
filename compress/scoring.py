"""What a way to learn scores puts on a model and asks of its training."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers import TrainerCallback

from .training import OwnRate
from .unit_masks import UnitMask


@dataclass(frozen=True)
class Scoring:
    """Masks that have learned scores after the training, and what the training needs for it.

    Attributes:
        heads: Layer by layer the masks on heads.
        neurons: Layer by layer the masks on neurons.
        penalty: Takes the share of the training that is done, returns a term of the loss ().
        own_rates: Parameters that have another learning rate than the student.
        callbacks: Told by the trainer what it does.
    """

    heads: Sequence[UnitMask]
    neurons: Sequence[UnitMask]
    penalty: nn.Module | None = None
    own_rates: Sequence[OwnRate] = ()
    callbacks: Sequence[TrainerCallback] = ()

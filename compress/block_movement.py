"""Scores by movement: which heads and neurons the training pulls at, and which it pushes away.

Movement pruning (Sanh et al. 2020) with one score for all weights of a unit (Lagunas et al. 2021).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .config import PruneConfig
from .scoring import Scoring
from .surgery import BertClassifier
from .unit_masks import UnitMask, add_masks


class MovementMask(UnitMask):
    """Lets the units through that would stay; their movement and that of the others is summed up.

    Attributes:
        movement: Sum of -w dL/dw over steps and over the weights w that lead out of a unit, which
            is that of -dL/dm for a factor m on the unit; units that are off have one, too.
            Shape: (units,)
    """

    movement: Tensor

    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.register_buffer("movement", torch.zeros(units))
        self._factors = self.kept

    def scores(self) -> Tensor:
        """Return the movement so far."""
        return self.movement

    def factors(self, texts: int) -> Tensor:
        """Return 1 and 0; their gradient is kept for `add_movement`."""
        self._factors = self.kept.clone().requires_grad_()
        return self._factors[None]

    def add_movement(self) -> None:
        """Add what the last backward pass said."""
        assert self._factors.grad is not None
        self.movement -= self._factors.grad


class _AddMovement(TrainerCallback):
    def __init__(self, masks: Sequence[MovementMask]) -> None:
        self.masks = masks

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        for mask in self.masks:
            mask.add_movement()


def block_movement(model: BertClassifier, config: PruneConfig) -> Scoring:
    """Put masks on a model that let the units through whose movement is the largest.

    Raises:
        ModelError: The model is not BERT-shaped.
    """
    heads, neurons = add_masks(model, MovementMask)
    return Scoring(heads, neurons, callbacks=[_AddMovement([*heads, *neurons])])

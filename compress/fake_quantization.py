"""INT8 as the quantize stage will make it, put on a float model that goes on learning.

Values are rounded to what INT8 holds and gradients pass the rounding unchanged (straight-through;
Jacob et al. 2018, section 3). Matrices and activations are those of the quantize stage: products
with constant weights, weights symmetric per output channel, activations per tensor over a range.
Two things are left out: the word table, whose rows lose no more than half a step of their own, and
that the exported graph computes only the first position of the last layer, so that ranges there
are seen a little wider than they will be.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from .config import MIN_CHANNELS

# Largest number of a weight; the 7 bits are those that two products of U8S8 leave room for.
WEIGHT_LIMITS = {7: 64, 8: 127}

# Share of a batch in a range that follows the training.
RANGE_RATE = 0.01


class RoundedWeight(nn.Module):
    """A weight as INT8 holds it, put on a Linear as a parametrization.

    Args:
        bits: 7 or 8.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.limit = WEIGHT_LIMITS[bits]

    def forward(self, weight: Tensor) -> Tensor:
        """Round a weight. Shape: (outputs, inputs)."""
        largest = weight.detach().abs().amax(dim=1)
        scale = largest.where(largest > 0, 1.0) / self.limit
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(
            weight, scale, zeros, 0, -self.limit, self.limit
        )


class RoundedInput(nn.Module):
    """What enters a matrix, as INT8 holds it; its range is a buffer and lies in checkpoints.

    Attributes:
        low: Lowest value of the range.
        high: Highest value of the range.
        stage: `measuring` widens the range and rounds nothing, `fixed` rounds, `following` rounds
            and in training lets the range follow what it sees.
    """

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))  # 0 is always in: it must be exact
        self.register_buffer("high", torch.zeros(()))
        self.stage = "measuring"

    def forward(self, values: Tensor) -> Tensor:
        """Round activations. Shape: any."""
        seen = values.detach().float()
        low, high = seen.min().clamp(max=0), seen.max().clamp(min=0)
        if self.stage == "measuring":
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
            return values
        if self.stage == "following" and self.training:
            self.low.lerp_(low, RANGE_RATE)
            self.high.lerp_(high, RANGE_RATE)
        scale = ((self.high - self.low) / 255).clamp(min=1e-12)
        zero_point = (-128 - self.low / scale).round().int()
        return torch.fake_quantize_per_tensor_affine(
            values.float(), scale, zero_point, quant_min=-128, quant_max=127
        )


class FollowRanges(TrainerCallback):
    """Lets ranges move from the first step of a training on.

    Not before, because a resumed training is not tried out for its speed as a new one is.
    """

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        self.linears = linears

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        set_stage(self.linears, "following")


def add_rounding(model: PreTrainedModel, bits: int) -> list[nn.Linear]:
    """Round every matrix that the quantize stage will quantize; inputs begin `measuring`."""
    linears = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and min(module.weight.shape) >= MIN_CHANNELS
    ]
    for linear in linears:
        parametrize.register_parametrization(linear, "weight", RoundedWeight(bits))
        linear.add_module("input_rounding", RoundedInput())
        linear.register_forward_pre_hook(_round_input)
    return linears


def remove_rounding(linears: Sequence[Any]) -> None:
    """Make the matrices ordinary ones again, with the weights behind the rounding."""
    for linear in linears:
        parametrize.remove_parametrizations(linear, "weight", leave_parametrized=False)
        del linear.input_rounding
        linear._forward_pre_hooks.clear()


def set_stage(linears: Sequence[Any], stage: str) -> None:
    """Say what the inputs' rounding does; see `RoundedInput`."""
    for linear in linears:
        linear.input_rounding.stage = stage


def _round_input(linear: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (linear.input_rounding(inputs[0]),)

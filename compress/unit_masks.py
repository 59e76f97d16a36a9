"""Factors on heads and neurons, in front of the matrices that they enter."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .surgery import BertClassifier, BertLayer, bert_layers, widths_of


class UnitMask(ABC, nn.Module):
    """One factor for each head or neuron of a layer.

    Attributes:
        kept: 1 for units that would stay by the scores so far, 0 for those that would go; a buffer,
            so that it lies in checkpoints with the weights. Shape: (units,)
    """

    kept: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(units))

    @abstractmethod
    def scores(self) -> Tensor:
        """Return how much each unit is worth to be kept. Shape: (units,)."""

    @abstractmethod
    def factors(self, texts: int) -> Tensor:
        """Return what units are multiplied by in training. Shape: (texts or 1, units)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Scale what enters the matrix; outside of training units are there or not.

        Shape: (batch, seq, units * size of a unit)
        """
        factors = self.factors(len(inputs)) if self.training else self.kept[None]
        size = inputs.shape[-1] // len(self.kept)
        return inputs * factors.to(inputs.dtype).repeat_interleave(size, dim=1)[:, None]


M = TypeVar("M", bound=UnitMask)


def add_masks(model: BertClassifier, make: Callable[[int], M]) -> tuple[list[M], list[M]]:
    """Put a mask on the heads and one on the neurons of every layer.

    Args:
        model: A BERT-shaped classifier.
        make: Makes the mask of so many units.

    Returns:
        Layer by layer the masks of heads, and those of neurons.

    Raises:
        ModelError: The model is not BERT-shaped.
    """
    heads, neurons = [], []
    for layer, widths in zip(bert_layers(model), widths_of(model), strict=True):
        head_matrix, neuron_matrix = _masked(layer)
        heads.append(_add(head_matrix, make(widths["heads"])))
        neurons.append(_add(neuron_matrix, make(widths["neurons"])))
    return heads, neurons


def remove_masks(model: BertClassifier) -> None:
    """Take the masks away; every unit is there as it was without."""
    for layer in bert_layers(model):
        for dense in _masked(layer):
            del dense.unit_mask
            dense._forward_pre_hooks.clear()


def _masked(layer: BertLayer) -> tuple[Any, Any]:
    """Return the matrices that heads and neurons enter."""
    return layer.attention.output.dense, layer.output.dense


def _add(dense: Any, mask: M) -> M:
    dense.add_module("unit_mask", mask)
    dense.register_forward_pre_hook(_mask_input)
    return mask


def _mask_input(dense: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (dense.unit_mask(inputs[0]),)

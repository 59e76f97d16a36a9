"""Objective on attention maps, and what it shares with the relations."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..config import AttentionConfig
from ..errors import ModelError
from ..layer_map import layer_pairs
from ..relative_bias import relative_buckets
from ..states import ModelOutput, attention_heads
from ..teacher_outputs import TeacherOutputs
from .objective import Objective

# Low enough to vanish in a softmax, and finite in every number format.
MASKED = -1e4


class AttentionMaps(Objective):
    """Distance to the teacher's attention, head by head.

    On scores: the squared error before the softmax (TinyBERT, Jiao et al. 2020, equation 7). On
    probabilities: the KL divergence after it (MiniLM, Wang et al. 2020, section 3.1).
    """

    def __init__(
        self, config: AttentionConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        if relative_buckets(student) is not None:
            raise ModelError(
                "the student's attention has a bias on distances of its own, expected none for the "
                "objective attention, which compares queries and keys; use relations"
            )
        pairs = layer_pairs(config.layers, student.config.num_hidden_layers, outputs.layers)
        for layer, _ in pairs:
            found = attention_heads(student, layer)
            if found != outputs.heads:
                raise ModelError(
                    f"the student has {found} attention heads in layer {layer}, expected the "
                    f"teacher's {outputs.heads} for the objective attention; use relations, which "
                    "compares models of different heads"
                )
        self.compare(("query", "key"), pairs, outputs)
        self.heads = outputs.heads
        self.on_scores = config.on == "scores"
        self.position_bias: Tensor | None
        self.register_buffer("position_bias", outputs.position_bias, persistent=False)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over layers, heads and real positions."""
        mask = batch["attention_mask"]
        states = self.state_pairs(output, batch)
        distances = []
        for (query, wanted_query), (key, wanted_key) in zip(states[::2], states[1::2], strict=True):
            scores = dot_products(query, key, self.heads)
            wanted = self._with_bias(dot_products(wanted_query, wanted_key, self.heads))
            distance = squared_error if self.on_scores else softmax_divergence
            distances.append(distance(scores, wanted, mask))
        return torch.stack(distances).mean()

    def _with_bias(self, scores: Tensor) -> Tensor:
        if self.position_bias is None:
            return scores
        length = scores.shape[-1]
        return scores + self.position_bias[:, :length, :length]


def dot_products(left: Tensor, right: Tensor, heads: int) -> Tensor:
    """Return scaled dot products between positions, in each head.

    Args:
        left: Shape: (batch, seq, width).
        right: Shape: (batch, seq, width).
        heads: The width is cut into this many.

    Returns:
        Shape: (batch, heads, seq, seq).
    """
    left, right = (states.unflatten(-1, (heads, -1)).transpose(1, 2) for states in (left, right))
    return left @ right.transpose(-1, -2) / math.sqrt(left.shape[-1])


def squared_error(scores: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over heads and pairs of real positions.

    Args:
        scores: Shape: (batch, heads, seq, seq).
        wanted: The same of the teacher.
        mask: 1 on real positions. Shape: (batch, seq).
    """
    pairs = (mask[:, :, None] * mask[:, None, :])[:, None]
    return ((scores - wanted).square() * pairs).sum() / (pairs.sum() * scores.shape[1])


def softmax_divergence(scores: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Return KL(softmax(wanted) || softmax(scores)), the mean over heads and real positions.

    Args:
        scores: Shape: (batch, heads, seq, seq).
        wanted: The same of the teacher.
        mask: 1 on real positions. Shape: (batch, seq).
    """
    masked = (mask == 0)[:, None, None, :]
    found, target = (
        torch.log_softmax(products.float().masked_fill(masked, MASKED), dim=-1)
        for products in (scores, wanted)
    )
    per_query = (target.exp() * (target - found)).sum(-1)
    return (per_query * mask[:, None]).sum() / (mask.sum() * scores.shape[1])

"""Least-squares reconstruction: what is left of a sub-layer speaks for what was removed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .surgery import BertClassifier, BertLayer, OnlyBias, bert_layers

# Share of the mean squared input by which the ridge holds the weights where they are.
RIDGE = 1e-2


@torch.no_grad()
def reconstruct(
    model: BertClassifier,
    original: BertClassifier,
    batches: Iterable[dict[str, Tensor]],
    ridge: float = RIDGE,
) -> None:
    """Fit the output projections of a pruned model, in place, to what the original computes.

    From the bottom up, each projection solves a ridge regression: given the activations above the
    already fitted layers, the sum that enters its LayerNorm is to be that of the original (K-prune,
    Park et al. 2024, section 4.3; for masks instead of weights Kwon et al. 2022, section 4.3). The
    ridge penalises the distance to the present weights. It takes no gradients and no labels.

    Args:
        model: The pruned model.
        original: The model before any pruning, of the same depth and hidden size.
        batches: `input_ids` and `attention_mask`, each (batch, seq); padding is left out.
        ridge: Penalty, as a share of the mean squared input of the projection.
    """
    texts = [_embed(model, original, batch) for batch in batches]
    for layer, whole_layer in zip(bert_layers(model), bert_layers(original), strict=True):
        for small, whole in zip(_sub_layers(layer), _sub_layers(whole_layer), strict=True):
            for text in texts:
                text.wanted = whole.sum(text.whole, text.mask)
            _fit(small, texts, ridge)
            for text in texts:
                text.small = small.norm(small.sum(text.small, text.mask))
                text.whole = whole.norm(text.wanted)


def solve_ridge(gram: Tensor, cross: Tensor, ridge: float) -> Tensor:
    """Solve min |A x - b|^2 + penalty |x|^2, the last row of x unpenalised.

    Args:
        gram: A^T A of inputs whose last column is 1. Shape: (inputs + 1, inputs + 1)
        cross: A^T b. Shape: (inputs + 1, outputs)
        ridge: The penalty as a share of the mean squared input.

    Returns:
        Weights and, last, the bias. Shape: (inputs + 1, outputs)
    """
    penalty = torch.zeros_like(gram.diagonal())
    penalty[:-1] = ridge * gram.diagonal()[:-1].mean()
    solution: Tensor = torch.linalg.solve(gram + penalty.diag(), cross)
    return solution


@dataclass
class _Text:
    """A batch on its way through the layers of both models.

    Attributes:
        mask: Additive attention mask. Shape: (batch, 1, 1, seq)
        kept: Which positions are no padding. Shape: (batch, seq)
        small: Hidden states of the pruned model. Shape: (batch, seq, hidden)
        whole: Hidden states of the original. Shape: (batch, seq, hidden)
        wanted: What enters the original's next LayerNorm. Shape: (batch, seq, hidden)
    """

    mask: Tensor
    kept: Tensor
    small: Tensor
    whole: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class _SubLayer:
    """Attention or feed-forward: inputs of its projection, the projection, the LayerNorm."""

    inputs: Callable[[Tensor, Tensor], Tensor]
    dense: nn.Linear | OnlyBias
    norm: nn.LayerNorm

    def sum(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return what enters the LayerNorm. Shape: (batch, seq, hidden)."""
        total: Tensor = self.dense(self.inputs(states, mask)) + states
        return total


def _sub_layers(layer: BertLayer) -> Iterator[_SubLayer]:
    attention, feed_forward = layer.attention.output, layer.output
    yield _SubLayer(
        lambda states, mask: layer.attention.self(states, mask)[0],
        attention.dense,
        attention.LayerNorm,
    )
    yield _SubLayer(
        lambda states, mask: layer.intermediate(states), feed_forward.dense, feed_forward.LayerNorm
    )


def _embed(model: BertClassifier, original: BertClassifier, batch: dict[str, Tensor]) -> _Text:
    kept = batch["attention_mask"].bool()
    small, whole = (m.bert.embeddings(input_ids=batch["input_ids"]) for m in (model, original))
    mask = torch.zeros(kept.shape).masked_fill(~kept, torch.finfo(small.dtype).min)
    return _Text(mask[:, None, None, :], kept, small, whole, whole)


def _fit(layer: _SubLayer, texts: list[_Text], ridge: float) -> None:
    """Accumulate the normal equations over all texts and solve them for the change in weights."""
    width = layer.dense.in_features if isinstance(layer.dense, nn.Linear) else 0
    outputs = len(layer.dense.bias)
    gram = torch.zeros(width + 1, width + 1, dtype=torch.float64)
    cross = torch.zeros(width + 1, outputs, dtype=torch.float64)
    for text in texts:
        inputs = layer.inputs(text.small, text.mask)
        error = text.wanted - layer.dense(inputs) - text.small
        rows = inputs[text.kept][:, :width].double()
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        gram += rows.T @ rows
        cross += rows.T @ error[text.kept].double()
    change = solve_ridge(gram, cross, ridge)
    if isinstance(layer.dense, nn.Linear):
        layer.dense.weight.add_(change[:-1].T)
    layer.dense.bias.add_(change[-1])

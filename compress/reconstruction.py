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
    kept: Tensor | None = None,
    ridge: float = RIDGE,
) -> None:
    """Fit the output projections of a pruned model, in place, to what the original computes.

    From the bottom up, each projection solves a ridge regression: given the activations above the
    already fitted layers, the sum that enters its LayerNorm is to be that of the original (K-prune,
    Park et al. 2024, section 4.3; for masks instead of weights Kwon et al. 2022, section 4.3). The
    ridge penalises the distance to the present weights. It takes no gradients and no labels.

    Where the residual stream lost dimensions, what reads it and every LayerNorm are fitted as well:
    the kept dimensions foretell much of what those that went told a query, key, value, neuron or
    the pooler.

    Args:
        model: The pruned model.
        original: The model before the pruning, of the same depth.
        batches: `input_ids` and `attention_mask`, each (batch, seq); padding is left out.
        kept: The original's dimensions of the residual stream that the model still has, where some
            went; heads and neurons are then the original's. Shape: (kept,)
        ridge: Penalty, as a share of the mean squared input of the projection.
    """
    texts = [_embed(model, original, batch) for batch in batches]
    if kept is not None:
        _fit_norm(model.bert.embeddings.LayerNorm, texts, kept)
    for layer, whole_layer in zip(bert_layers(model), bert_layers(original), strict=True):
        for small, whole in zip(_sub_layers(layer), _sub_layers(whole_layer), strict=True):
            if kept is not None:
                for reader, whole_reader in zip(small.readers, whole.readers, strict=True):
                    _fit_reader(reader, whole_reader, texts, ridge)
            for text in texts:
                sums = whole.sum(text.whole, text.mask)
                text.whole = whole.norm(sums)
                text.wanted = sums if kept is None else sums[..., kept]
            _fit_projection(small, texts, ridge)
            for text in texts:
                text.small = small.norm(small.sum(text.small, text.mask))
            if kept is not None:
                _fit_norm(small.norm, texts, kept)
    if kept is not None and model.bert.pooler is not None:
        _fit_pooler(model, original, texts, kept, ridge)


def fit_linear(
    linear: nn.Linear | OnlyBias, batches: Iterable[tuple[Tensor, Tensor]], ridge: float
) -> None:
    """Change a matrix and its bias, in place, by the ridge regression of its error on its inputs.

    Args:
        linear: What is fitted; without inputs, its bias alone.
        batches: Inputs (rows, inputs) and what is missing from the outputs (rows, outputs).
        ridge: The penalty as a share of the mean squared input.
    """
    width = linear.in_features if isinstance(linear, nn.Linear) else 0
    gram = torch.zeros(width + 1, width + 1, dtype=torch.float64)
    cross = torch.zeros(width + 1, len(linear.bias), dtype=torch.float64)
    for inputs, error in batches:
        rows = inputs[:, :width].double()
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        gram += rows.T @ rows
        cross += rows.T @ error.double()
    change = solve_ridge(gram, cross, ridge)
    if isinstance(linear, nn.Linear):
        linear.weight.add_(change[:-1].T)
    linear.bias.add_(change[-1])


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
        real: Which positions are no padding. Shape: (batch, seq)
        small: Hidden states of the pruned model. Shape: (batch, seq, hidden)
        whole: Hidden states of the original. Shape: (batch, seq, hidden)
        wanted: What is to enter the next LayerNorm. Shape: (batch, seq, hidden of the pruned)
    """

    mask: Tensor
    real: Tensor
    small: Tensor
    whole: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class _SubLayer:
    """Attention or feed-forward.

    Attributes:
        readers: What reads the residual stream.
        inputs: From the stream to the inputs of the projection.
        dense: The projection.
        norm: The LayerNorm after it.
    """

    readers: list[nn.Linear]
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
        _linears(layer.attention.self),
        lambda states, mask: layer.attention.self(states, mask)[0],
        attention.dense,
        attention.LayerNorm,
    )
    yield _SubLayer(
        _linears(layer.intermediate),
        lambda states, mask: layer.intermediate(states),
        feed_forward.dense,
        feed_forward.LayerNorm,
    )


def _linears(module: nn.Module) -> list[nn.Linear]:
    return [child for child in module.children() if isinstance(child, nn.Linear)]


def _embed(model: BertClassifier, original: BertClassifier, batch: dict[str, Tensor]) -> _Text:
    real = batch["attention_mask"].bool()
    read = {name: batch[name] for name in ("input_ids", "token_type_ids") if name in batch}
    small, whole = (m.bert.embeddings(**read) for m in (model, original))
    mask = torch.zeros(real.shape).masked_fill(~real, torch.finfo(small.dtype).min)
    return _Text(mask[:, None, None, :], real, small, whole, whole)


def _fit_projection(layer: _SubLayer, texts: list[_Text], ridge: float) -> None:
    def rows() -> Iterator[tuple[Tensor, Tensor]]:
        for text in texts:
            inputs = layer.inputs(text.small, text.mask)
            error = text.wanted - layer.dense(inputs) - text.small
            yield inputs[text.real], error[text.real]

    fit_linear(layer.dense, rows(), ridge)


def _fit_reader(reader: nn.Linear, whole: nn.Linear, texts: list[_Text], ridge: float) -> None:
    def rows() -> Iterator[tuple[Tensor, Tensor]]:
        for text in texts:
            inputs = text.small[text.real]
            yield inputs, whole(text.whole[text.real]) - reader(inputs)

    fit_linear(reader, rows(), ridge)


def _fit_pooler(
    model: BertClassifier, original: BertClassifier, texts: list[_Text], kept: Tensor, ridge: float
) -> None:
    pooler, whole = model.bert.pooler.dense, original.bert.pooler.dense
    firsts = [(text.small[:, 0], text.whole[:, 0]) for text in texts]
    fit_linear(pooler, [(x, whole(y)[:, kept] - pooler(x)) for x, y in firsts], ridge)
    pairs = [(pooler(x).tanh(), whole(y).tanh()) for x, y in firsts]
    small, wide = model.classifier, original.classifier
    fit_linear(small, [(x, wide(y) - small(x)) for x, y in pairs], ridge)


def _fit_norm(norm: nn.LayerNorm, texts: list[_Text], kept: Tensor) -> None:
    """Fit scale and shift to the original's kept dimensions, and the states with them."""
    found = torch.cat([text.small[text.real] for text in texts]).double()
    wanted = torch.cat([text.whole[..., kept][text.real] for text in texts]).double()
    centred = found - found.mean(0)
    # A dimension that never moves keeps no scale: its mean says all.
    scale = (centred * wanted).sum(0) / centred.square().sum(0).clamp(min=1e-12)
    shift = wanted.mean(0) - scale * found.mean(0)
    norm.weight.mul_(scale)
    norm.bias.mul_(scale).add_(shift)
    for text in texts:
        text.small = text.small * scale.float() + shift.float()

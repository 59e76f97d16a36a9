"""Removing heads, neurons, layers and hidden dimensions of BERT for good.

transformers v5 has no `prune_heads`; a Linear that lost rows or columns is an ordinary smaller
Linear, so the pruned model stays an ordinary transformers model.
"""

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .errors import ModelError
from .relative_bias import keep_bias_of
from .word_factors import FactorisedEmbedding

# torch types every attribute of a module as Tensor | Module, which says less than nothing here.
BertClassifier: TypeAlias = Any
BertLayer: TypeAlias = Any


def bert_layers(model: BertClassifier) -> list[BertLayer]:
    """Return the encoder layers.

    Raises:
        ModelError: The model is not BERT-shaped.
    """
    if model.config.model_type != "bert":
        raise ModelError(
            f"the model is of type {model.config.model_type!r}, expected 'bert'; distil into a "
            "BERT student first (distill.student.init names a BERT checkpoint)"
        )
    return list(model.bert.encoder.layer)


def keep_heads(layer: BertLayer, heads: Tensor) -> None:
    """Keep only these attention heads of a layer; without any, only its bias stays.

    Args:
        layer: A BertLayer.
        heads: Head numbers to keep. Shape: (kept,)
    """
    if len(heads) == 0:
        layer.attention.self = NoAttention()
        layer.attention.output.dense = OnlyBias(layer.attention.output.dense.bias)
        return
    attention = layer.attention.self
    size = attention.attention_head_size
    columns = (heads[:, None] * size + torch.arange(size)).flatten()
    for name in ("query", "key", "value"):
        setattr(attention, name, keep_outputs(getattr(attention, name), columns))
    layer.attention.output.dense = keep_inputs(layer.attention.output.dense, columns)
    keep_bias_of(attention, heads)
    attention.num_attention_heads = len(heads)
    attention.all_head_size = len(columns)


def keep_neurons(layer: BertLayer, neurons: Tensor) -> None:
    """Keep only these feed-forward neurons of a layer; without any, only its bias stays.

    Args:
        layer: A BertLayer.
        neurons: Neuron numbers to keep. Shape: (kept,)
    """
    if len(neurons) == 0:
        layer.intermediate = nn.Identity()
        layer.output.dense = OnlyBias(layer.output.dense.bias)
        return
    layer.intermediate.dense = keep_outputs(layer.intermediate.dense, neurons)
    layer.output.dense = keep_inputs(layer.output.dense, neurons)


def keep_layers(model: BertClassifier, layers: tuple[int, ...]) -> None:
    """Keep only these encoder layers, in this order."""
    old = bert_layers(model)
    model.bert.encoder.layer = nn.ModuleList(old[number] for number in layers)
    for number, layer in enumerate(bert_layers(model)):
        layer.attention.self.layer_idx = number
    model.config.num_hidden_layers = len(layers)


def keep_hidden(model: BertClassifier, dimensions: Tensor) -> None:
    """Keep only these dimensions of the residual stream. Shape: (kept,).

    Attention keeps its heads; only what it reads from and writes to the stream shrinks. A LayerNorm
    takes its mean and variance over what is left, so that the kept dimensions move even if those
    removed were 0. `config.hidden_size` stays, because the head size follows from it.
    """
    embeddings = model.bert.embeddings
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        table = getattr(embeddings, name)
        if isinstance(table, FactorisedEmbedding):
            table.basis = keep_outputs(table.basis, dimensions)
        else:
            table.weight = nn.Parameter(table.weight.detach()[:, dimensions].clone())
            table.embedding_dim = len(dimensions)
    for layer in bert_layers(model):
        attention, feed_forward = layer.attention.self, layer.intermediate
        for part, names in ((attention, ("query", "key", "value")), (feed_forward, ("dense",))):
            for name in names:
                if hasattr(part, name):  # not where a layer's last head or neuron went
                    setattr(part, name, keep_inputs(getattr(part, name), dimensions))
        for block in (layer.attention.output, layer.output):
            block.dense = (
                OnlyBias(block.dense.bias[dimensions])
                if isinstance(block.dense, OnlyBias)
                else keep_outputs(block.dense, dimensions)
            )
    for block in residual_blocks(model):
        block.LayerNorm = keep_norm(block.LayerNorm, dimensions)
    pooler = model.bert.pooler
    if pooler is not None:  # a model that answers every word has none
        pooler.dense = keep_outputs(keep_inputs(pooler.dense, dimensions), dimensions)
    model.classifier = keep_inputs(model.classifier, dimensions)


def residual_blocks(model: BertClassifier) -> list[BertLayer]:
    """Return the modules whose `LayerNorm` writes the residual stream, from the bottom up."""
    blocks = [model.bert.embeddings]
    for layer in bert_layers(model):
        blocks += [layer.attention.output, layer.output]
    return blocks


def hidden_width(model: BertClassifier) -> int:
    """Return how wide the residual stream is; of a pruned model the config does not say it."""
    if model.config.model_type != "bert":
        return int(model.config.hidden_size)
    return len(model.bert.embeddings.LayerNorm.weight)


def widths_of(model: BertClassifier) -> list[dict[str, int]]:
    """Return heads and neurons of every layer, as `shrink_to` takes them."""
    return [
        {
            "heads": getattr(layer.attention.self, "num_attention_heads", 0),
            "neurons": getattr(layer.output.dense, "in_features", 0),
        }
        for layer in bert_layers(model)
    ]


def shrink_to(model: BertClassifier, widths: list[dict[str, int]]) -> None:
    """Cut a freshly built model to recorded widths, before its weights are loaded."""
    for layer, width in zip(bert_layers(model), widths, strict=True):
        keep_heads(layer, torch.arange(width["heads"]))
        keep_neurons(layer, torch.arange(width["neurons"]))


class OnlyBias(nn.Module):
    """What is left of a projection without inputs: a zero-wide Linear would not export."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, ignored: Tensor) -> Tensor:
        """Return the bias, which broadcasts over batch and positions. Shape: (hidden,)."""
        return self.bias


class NoAttention(nn.Module):
    """Stands where a layer's last head went."""

    def forward(self, hidden_states: Tensor, *ignored: Any, **also: Any) -> tuple[Tensor, None]:
        """Return what `OnlyBias` ignores, and no attention weights."""
        return hidden_states, None


def keep_outputs(linear: nn.Linear, rows: Tensor) -> nn.Linear:
    """Return a Linear with only these outputs. Shape: (kept,)."""
    return _linear(linear.weight[rows], None if linear.bias is None else linear.bias[rows])


def keep_inputs(linear: nn.Linear, columns: Tensor) -> nn.Linear:
    """Return a Linear with only these inputs. Shape: (kept,)."""
    return _linear(linear.weight[:, columns], linear.bias)


def keep_norm(norm: nn.LayerNorm, dimensions: Tensor) -> nn.LayerNorm:
    """Return a LayerNorm over only these dimensions. Shape: (kept,)."""
    small = nn.LayerNorm(len(dimensions), eps=norm.eps)
    small.weight.data = norm.weight.detach()[dimensions].clone()
    small.bias.data = norm.bias.detach()[dimensions].clone()
    return small


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    small = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    small.weight.data = weight.detach().clone()
    if bias is not None:
        small.bias.data = bias.detach().clone()
    return small

"""What a model computes on its way to the logits, by name: `hidden_2`, `query_5`.

The number is the layer's, from 0; `hidden_-1` is what the embeddings give to the first layer.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .config import StateKind
from .errors import ModelError
from .surgery import hidden_width

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_BERT = ("encoder.layer.{}.attention.self.", {"query": "query", "key": "key", "value": "value"})
# Model type -> where a layer's attention lies in the encoder, and its three projections.
PROJECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "ernie": _BERT,
    "mpnet": ("encoder.layer.{}.attention.attn.", {"query": "q", "key": "k", "value": "v"}),
    "distilbert": (
        "transformer.layer.{}.attention.",
        {"query": "q_lin", "key": "k_lin", "value": "v_lin"},
    ),
}


@dataclass(frozen=True)
class ModelOutput:
    """What a model says about a batch.

    Attributes:
        logits: Shape: (batch, labels), or (batch, seq, labels) where every word is answered.
        states: By name. Shape: (batch, seq, width).
    """

    logits: Tensor
    states: dict[str, Tensor] = field(default_factory=dict)


def state_name(kind: StateKind, layer: int) -> str:
    """Name what a model computes in a layer."""
    return f"{kind}_{layer}"


def run_with_states(
    model: PreTrainedModel, batch: Mapping[str, Tensor], names: Collection[str]
) -> ModelOutput:
    """Run a model and keep some of its states.

    Args:
        model: With a head for the task.
        batch: `input_ids` and `attention_mask`, and `token_type_ids` where texts come in pairs,
            each (batch, seq); what else there is is not looked at.
        names: The states.

    Raises:
        ModelError: It is not known where this type of model keeps its queries, keys and values.
    """
    places = {name: name.rpartition("_") for name in names}
    hidden = {name: int(layer) for name, (kind, _, layer) in places.items() if kind == "hidden"}
    states: dict[str, Tensor] = {}
    handles = [
        projection(model, kind, int(layer)).register_forward_hook(_keep(name, states))
        for name, (kind, _, layer) in places.items()
        if kind != "hidden"
    ]
    try:
        found = model(
            **model_inputs(model, batch),
            output_hidden_states=len(hidden) > 0,
        )
    finally:
        for handle in handles:
            handle.remove()
    states |= {name: found.hidden_states[layer + 1] for name, layer in hidden.items()}
    return ModelOutput(found.logits, states)


def model_inputs(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what of a batch a model reads; not every type tells the two texts of a pair apart."""
    known = inspect.signature(model.forward).parameters
    return {name: batch[name] for name in INPUTS if name in batch and name in known}


def state_width(model: PreTrainedModel, name: str) -> int:
    """Return how wide a state is.

    Raises:
        ModelError: It is not known where this type of model keeps its queries, keys and values.
    """
    kind, _, layer = name.rpartition("_")
    if kind == "hidden":
        return hidden_width(model)
    return int(projection(model, kind, int(layer)).out_features)


def projection(model: PreTrainedModel, kind: str, layer: int) -> nn.Linear:
    """Return the matrix that computes a layer's queries, keys or values.

    Raises:
        ModelError: It is not known where this type of model keeps it.
    """
    model_type = model.config.model_type
    if model_type not in PROJECTIONS:
        raise ModelError(
            f"the attention of a {model_type!r} model is not known, expected one of "
            f"{', '.join(PROJECTIONS)} for the objectives attention and relations"
        )
    path, names = PROJECTIONS[model_type]
    found = model.base_model.get_submodule(path.format(layer) + names[kind])
    assert isinstance(found, nn.Linear)
    return found


def attention_heads(model: PreTrainedModel, layer: int) -> int:
    """Return how many heads a layer has; pruning takes heads away but never changes their size."""
    head_size: int = model.config.hidden_size // model.config.num_attention_heads
    return projection(model, "query", layer).out_features // head_size


@torch.no_grad()
def position_bias(model: PreTrainedModel, length: int) -> Tensor | None:
    """Return what MPNet adds to the attention scores of every layer, None for other types.

    Args:
        model: A classifier.
        length: Longest text, tokens.

    Returns:
        Shape: (heads, length, length).
    """
    if model.config.model_type != "mpnet":
        return None
    encoder: Any = model.base_model.get_submodule("encoder")
    bias: Tensor = encoder.compute_position_bias(torch.empty(1, length))[0]
    return bias


def _keep(name: str, states: dict[str, Tensor]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        states[name] = output

    return hook

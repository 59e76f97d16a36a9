"""Removing whole layers, each time the one whose absence changes the answers least."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import ModelError
from .progress import progress
from .surgery import BertClassifier, bert_layers, keep_layers


def drop_layers(model: BertClassifier, batches: Sequence[dict[str, Tensor]], count: int) -> None:
    """Remove layers in place, one after the other (greedy, as in Peer et al. 2022).

    A layer's worth is the KL divergence from the answers of the model as it came to those without
    the layer; it is measured anew after each removal, because neighbours stand in for each other.

    Args:
        model: A BERT-shaped classifier.
        batches: Texts to measure on: `input_ids` and `attention_mask`, each (batch, seq).
        count: Layers to remove.

    Raises:
        ModelError: The model is not BERT-shaped, or has too few layers.
    """
    depth = len(bert_layers(model))
    if count >= depth:
        raise ModelError(f"prune.layers is {count}, expected fewer than the model's {depth} layers")
    model.eval()
    answers = _log_probabilities(model, batches)
    with progress("Drop layers", total=count) as bar:
        for _ in range(count):
            remaining = range(len(bert_layers(model)))
            least = min(remaining, key=lambda layer: _loss_without(layer, model, batches, answers))
            keep_layers(model, tuple(layer for layer in remaining if layer != least))
            bar.advance()


def _loss_without(
    layer: int, model: BertClassifier, batches: Sequence[dict[str, Tensor]], answers: Tensor
) -> float:
    with _without(layer, model):
        found = _log_probabilities(model, batches)
    return float(functional.kl_div(found, answers, log_target=True, reduction="batchmean"))


@contextmanager
def _without(layer: int, model: BertClassifier) -> Iterator[None]:
    layers = bert_layers(model)
    keep_layers(model, tuple(other for other in range(len(layers)) if other != layer))
    try:
        yield
    finally:
        model.bert.encoder.layer = nn.ModuleList(layers)
        keep_layers(model, tuple(range(len(layers))))


@torch.no_grad()
def _log_probabilities(model: BertClassifier, batches: Sequence[dict[str, Tensor]]) -> Tensor:
    """Shape: (texts, classes)."""
    logits = [
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        for batch in batches
    ]
    return torch.cat(logits).log_softmax(-1)

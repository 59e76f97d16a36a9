"""Removing whole layers, each time the one whose absence changes the answers least."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .errors import ModelError
from .progress import progress
from .states import run_with_states
from .surgery import BertClassifier, bert_layers, keep_layers
from .tasks import TEXT_CLASSIFICATION
from .tasks.task import SupervisedTask


def drop_layers(
    model: BertClassifier,
    batches: Sequence[dict[str, Tensor]],
    count: int,
    task: SupervisedTask = TEXT_CLASSIFICATION,
) -> None:
    """Remove layers in place, one after the other (greedy, as in Peer et al. 2022).

    A layer's worth is the divergence from the answers of the model as it came to those without the
    layer; it is measured anew after each removal, because neighbours stand in for each other.

    Args:
        model: A BERT-shaped classifier.
        batches: Texts to measure on: `input_ids` and `attention_mask`, each (batch, seq), and
            whatever else they have.
        count: Layers to remove.
        task: What the answers are.

    Raises:
        ModelError: The model is not BERT-shaped, or has too few layers.
    """
    depth = len(bert_layers(model))
    if count >= depth:
        raise ModelError(f"prune.layers is {count}, expected fewer than the model's {depth} layers")
    model.eval()
    answers = _answers(model, batches, task)
    with progress("Drop layers", total=count) as bar:
        for _ in range(count):
            remaining = range(len(bert_layers(model)))
            losses = [_loss_without(one, model, batches, answers, task) for one in remaining]
            least = losses.index(min(losses))
            keep_layers(model, tuple(layer for layer in remaining if layer != least))
            bar.advance()


def _loss_without(
    layer: int,
    model: BertClassifier,
    batches: Sequence[dict[str, Tensor]],
    answers: list[Tensor],
    task: SupervisedTask,
) -> float:
    with _without(layer, model):
        without = _answers(model, batches, task)
    # Batch by batch: where rows are over tokens, they are as long as the batch.
    sums = [
        float(task.divergence(ours, theirs)) * len(theirs)
        for ours, theirs in zip(without, answers, strict=True)
    ]
    return sum(sums) / sum(map(len, answers))


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
def _answers(
    model: BertClassifier, batches: Sequence[dict[str, Tensor]], task: SupervisedTask
) -> list[Tensor]:
    """Return those of each batch. Shape: (rows, labels)."""
    return [task.rows(run_with_states(model, one, ()).logits, one) for one in batches]

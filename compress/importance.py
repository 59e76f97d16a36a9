"""How much each head, neuron and dimension of the residual stream matters to the answer."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .errors import ModelError
from .states import run_with_states
from .surgery import (
    BertClassifier,
    BertLayer,
    bert_layers,
    hidden_width,
    residual_blocks,
    widths_of,
)
from .tasks import TEXT_CLASSIFICATION
from .tasks.task import SupervisedTask


def fisher_importance(
    model: BertClassifier,
    batches: Iterable[dict[str, Tensor]],
    task: SupervisedTask = TEXT_CLASSIFICATION,
) -> tuple[list[Tensor], list[Tensor]]:
    """Score heads and neurons by how far the answer moves when they vanish.

    For a mask value m = 1 on a head or neuron, the second-order change of the KL divergence to the
    model's own answer is the diagonal Fisher information: the expected square of d log p / d m,
    labels drawn from p (Kwon et al. 2022, section 4.1). The gradient of a loss to a teacher's
    answer would be 0 for a model that is the teacher.

    Args:
        model: A BERT-shaped classifier; left as it was.
        batches: `input_ids` and `attention_mask`, each (batch, seq), and whatever else they have.
        task: What the answers are.

    Returns:
        Per layer the scores of its heads (heads,) and of its neurons (neurons,).
    """
    model.eval()
    layers, widths = bert_layers(model), widths_of(model)
    head_sums = [torch.zeros(width["heads"]) for width in widths]
    neuron_sums = [torch.zeros(width["neurons"]) for width in widths]
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        with _removed_afterwards(_watch_projections(layers, head_sums, neuron_sums)):
            _backward(model, batch, generator, task)
    model.zero_grad()
    return head_sums, neuron_sums


def hidden_importance(
    model: BertClassifier,
    batches: Iterable[dict[str, Tensor]],
    task: SupervisedTask = TEXT_CLASSIFICATION,
) -> Tensor:
    """Score the dimensions of the residual stream by how far the answer moves when they vanish.

    As for heads and neurons, with one mask on the outputs of all LayerNorms that write the stream:
    what a dimension does is summed over LayerNorms and positions before it is squared. That the
    next LayerNorm's mean and variance are taken over fewer dimensions is left out.

    Args:
        model: A BERT-shaped classifier; left as it was.
        batches: `input_ids` and `attention_mask`, each (batch, seq), and whatever else they have.
        task: What the answers are.

    Returns:
        Shape: (hidden,)
    """
    model.eval()
    sums = torch.zeros(hidden_width(model))
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        slopes = torch.zeros(len(batch["input_ids"]), len(sums))
        watched = [
            block.LayerNorm.register_forward_hook(_watch_outputs(slopes))
            for block in residual_blocks(model)
        ]
        with _removed_afterwards(watched):
            _backward(model, batch, generator, task)
        sums += slopes.square().sum(0)
    model.zero_grad()
    return sums


def _backward(
    model: BertClassifier,
    batch: dict[str, Tensor],
    generator: torch.Generator,
    task: SupervisedTask,
) -> None:
    """Propagate a vector whose expected square is the Fisher information of the answers.

    One backward pass then stands for one per class, and less noisily than a drawn label.
    """
    rows = task.rows(run_with_states(model, batch, ()).logits, batch)
    signs = torch.randint(2, rows.shape, generator=generator) * 2 - 1
    # A sum over the batch keeps each example's own gradient unscaled.
    (rows * task.fisher_root(rows.detach(), signs)).sum().backward()


def _watch_projections(
    layers: list[BertLayer], head_sums: list[Tensor], neuron_sums: list[Tensor]
) -> list[RemovableHandle]:
    """From now on add squared Taylor terms of what enters the two output projections."""
    return [
        linear.register_forward_pre_hook(_watch_inputs(sums))
        for layer, heads, neurons in zip(layers, head_sums, neuron_sums, strict=True)
        for linear, sums in ((layer.attention.output.dense, heads), (layer.output.dense, neurons))
        if len(sums)
    ]


@contextmanager
def _removed_afterwards(hooks: list[RemovableHandle]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _watch_inputs(sums: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # The hook must not hold the activation, which holds the hook: torch frees no such pair.
        values = inputs[0].detach()

        def add(gradient: Tensor) -> None:
            taylor = (values * gradient).sum(1)  # (batch, features)
            sums.add_(taylor.view(len(taylor), len(sums), -1).sum(-1).square().sum(0))

        inputs[0].register_hook(add)

    return hook


def _watch_outputs(slopes: Tensor) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        values = output.detach()  # for the same reason

        def add(gradient: Tensor) -> None:
            slopes.add_((values * gradient).sum(1))

        output.register_hook(add)

    return hook


def check_block_fits(model: BertClassifier, neuron_multiple: int) -> None:
    """Refuse a model that has a layer narrower than one block.

    Raises:
        ModelError: With the layer's width.
    """
    narrowest = min(width["neurons"] for width in widths_of(model))
    if narrowest < neuron_multiple:
        raise ModelError(
            f"prune.neuron_multiple is {neuron_multiple} but a layer has {narrowest} "
            "neurons, expected at most as many"
        )


def keep_best_blocks(scores: list[Tensor], units: float, block: int) -> list[Tensor]:
    """Choose, over all layers together, which units stay.

    Within a layer units are ranked and cut into blocks; the best blocks of the whole model stay,
    and at least one block in every layer, so that widths are multiples of `block`.

    Args:
        scores: Per layer the importance of its units.
        units: How many units to keep, all layers together; the nearest number of blocks stays.
        block: Units per block.

    Returns:
        Per layer the kept units in rising order.

    Raises:
        ValueError: A layer has fewer units than a block.
    """
    ranked = [layer.argsort(descending=True, stable=True) for layer in scores]
    blocks: list[tuple[float, int]] = []
    for number, layer in enumerate(scores):
        if len(layer) < block:
            raise ValueError(f"layer {number} has {len(layer)} units, expected at least {block}")
        whole = layer[ranked[number]][: len(layer) // block * block]
        blocks += [(total, number) for total in whole.view(-1, block).sum(1).tolist()]
    wanted = round(units / block)
    kept_blocks = [1] * len(scores)
    # The first block of a layer is its best, and stays in any case.
    spare = sorted(blocks, reverse=True)
    for number in range(len(scores)):
        spare.remove(max(entry for entry in spare if entry[1] == number))
    for _, number in spare[: max(0, wanted - len(scores))]:
        kept_blocks[number] += 1
    return [
        order[: count * block].sort().values
        for order, count in zip(ranked, kept_blocks, strict=True)
    ]

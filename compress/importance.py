"""How much each head and neuron matters to the loss."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import Collate, TokenizedExamples
from .progress import progress
from .surgery import BertLayer, bert_layers

BATCH_SIZE = 32


def fisher_importance(
    model: PreTrainedModel,
    examples: TokenizedExamples,
    rows: list[int],
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[list[Tensor], list[Tensor]]:
    """Score heads and neurons by the squared first-order change of the loss when they vanish.

    For a mask value m = 1 on a head or neuron with output a, dL/dm = sum of a * dL/da over its
    positions; the diagonal Fisher information is its mean square over examples (Kwon et al. 2022,
    section 4.1; first-order term: Michel et al. 2019).

    Args:
        model: A BERT-shaped classifier; left as it was.
        examples: Training examples with `teacher_logits` among the extras.
        rows: Which examples to use.
        tokenizer: Gives the padding id.

    Returns:
        Per layer the scores of its heads (heads,) and of its neurons (neurons,).
    """
    model.eval()
    layers = bert_layers(model)
    head_sums = [torch.zeros(layer.attention.self.num_attention_heads) for layer in layers]
    neuron_sums = [torch.zeros(layer.intermediate.dense.out_features) for layer in layers]
    collate = Collate(tokenizer.pad_token_id)
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    with progress("Score heads and neurons", total=len(batches), unit="batch") as bar:
        for batch_rows in batches:
            batch = collate([examples[row] for row in batch_rows])
            with _on_input_gradient(layers, head_sums, neuron_sums):
                logits = model(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                ).logits
                # A sum over the batch keeps each example's own gradient unscaled.
                functional.cross_entropy(
                    logits, batch["teacher_logits"].softmax(-1), reduction="sum"
                ).backward()
            bar.advance()
    model.zero_grad()
    return head_sums, neuron_sums


@contextmanager
def _on_input_gradient(
    layers: list[BertLayer], head_sums: list[Tensor], neuron_sums: list[Tensor]
) -> Iterator[None]:
    """While active, add squared Taylor terms of what enters the two output projections."""
    handles = []
    for layer, heads, neurons in zip(layers, head_sums, neuron_sums, strict=True):
        for linear, sums in ((layer.attention.output.dense, heads), (layer.output.dense, neurons)):
            handles.append(linear.register_forward_pre_hook(_watch(sums)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watch(sums: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        activation = inputs[0]

        def add(gradient: Tensor) -> None:
            taylor = (activation.detach() * gradient).sum(1)  # (batch, features)
            sums.add_(taylor.view(len(taylor), len(sums), -1).sum(-1).square().sum(0))

        activation.register_hook(add)

    return hook


def keep_best_blocks(scores: list[Tensor], keep: float, block: int) -> list[Tensor]:
    """Choose, over all layers together, which units stay.

    Within a layer units are ranked and cut into blocks; the best blocks of the whole model stay,
    and at least one block in every layer, so that widths are multiples of `block`.

    Args:
        scores: Per layer the importance of its units.
        keep: Fraction of all units to keep.
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
    wanted = round(keep * sum(len(layer) for layer in scores) / block)
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

"""Removing dimensions, then heads and neurons step by step, towards fractions or a latency."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from .config import PruneConfig
from .importance import check_block_fits, fisher_importance, keep_best_blocks
from .latency_budget import check_speedup, keep_within_budget
from .latency_table import load_latency_table
from .learned_scores import LearnedScores
from .narrow import narrow
from .progress import progress
from .reconstruction import reconstruct
from .surgery import BertClassifier, bert_layers, hidden_width, keep_heads, keep_neurons, widths_of
from .tasks import TEXT_CLASSIFICATION
from .tasks.task import SupervisedTask

# From the scores of heads and of neurons, layer by layer, and the share of the way to go (0 to 1)
# to the heads and neurons that each layer keeps.
Choice: TypeAlias = Callable[[list[Tensor], list[Tensor], float], tuple[list[Tensor], list[Tensor]]]


def shrink(
    model: BertClassifier,
    batches: Sequence[dict[str, Tensor]],
    config: PruneConfig,
    latency_table: Path | None,
    learned: LearnedScores | None = None,
    task: SupervisedTask = TEXT_CLASSIFICATION,
) -> None:
    """Remove dimensions, heads and neurons in place, in steps of the same share of what is left.

    Importance is measured anew before each step, because units that stay take over from those that
    went: to half the size a single step may collapse where 16 do not (Yang et al. 2022).

    Args:
        model: A BERT-shaped classifier.
        batches: Texts to measure importance on and to reconstruct with: `input_ids` and
            `attention_mask`, each (batch, seq).
        config: How much goes, and how.
        latency_table: File of the latency table, which a speedup needs.
        learned: Scores that stand in for importance, in a single step.
        task: What the answers are.

    Raises:
        ModelError: The model is not BERT-shaped or cannot give that much.
    """
    if config.hidden:
        # First, while heads and neurons are the original's and can be fitted to its queries, keys,
        # values and neurons; last, the KL divergence to the original was a third larger (a quarter
        # of dimensions and heads, half of the neurons of a 3-layer MiniLM; one step, no training).
        narrow(model, batches, config, task)
    if config.speedup is None and config.heads + config.neurons == 0:
        return
    layers = bert_layers(model)
    if config.speedup is None:
        choose = _by_fractions(model, config)
    else:
        assert latency_table is not None
        choose = _by_latency(model, config, config.speedup, latency_table)
    original = copy.deepcopy(model)
    with progress("Prune", total=config.steps) as bar:
        for step in range(1, config.steps + 1):
            if learned:
                scores = learned.heads, learned.neurons
            else:
                scores = fisher_importance(model, batches, task)
            heads, neurons = choose(*scores, step / config.steps)
            for layer, kept_heads, kept_neurons in zip(layers, heads, neurons, strict=True):
                keep_heads(layer, kept_heads)
                keep_neurons(layer, kept_neurons)
            if config.reconstruction == "least_squares":
                reconstruct(model, original, batches)
            bar.advance()


def _by_fractions(model: BertClassifier, config: PruneConfig) -> Choice:
    widths = widths_of(model)
    heads_before = sum(width["heads"] for width in widths)
    neurons_before = sum(width["neurons"] for width in widths)
    check_block_fits(model, config.neuron_multiple)

    def choose(
        heads: list[Tensor], neurons: list[Tensor], share: float
    ) -> tuple[list[Tensor], list[Tensor]]:
        return (
            keep_best_blocks(heads, (1 - config.heads) ** share * heads_before, block=1),
            keep_best_blocks(
                neurons, (1 - config.neurons) ** share * neurons_before, config.neuron_multiple
            ),
        )

    return choose


def _by_latency(
    model: BertClassifier, config: PruneConfig, speedup: float, latency_table: Path
) -> Choice:
    head_size = bert_layers(model)[0].attention.self.attention_head_size
    table = load_latency_table(latency_table, hidden_width(model), head_size)
    widths = widths_of(model)
    check_speedup(speedup, table, widths)
    before_ms = table.encoder_ms(widths)

    def choose(
        heads: list[Tensor], neurons: list[Tensor], share: float
    ) -> tuple[list[Tensor], list[Tensor]]:
        budget_ms = before_ms / speedup**share
        return keep_within_budget(heads, neurons, table, config.neuron_multiple, budget_ms)

    return choose

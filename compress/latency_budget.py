"""Which heads and neurons stay under a latency budget.

After ZipLM (Kurtic et al. 2023, section 3.2): the budget is time on the machine that counts, not
parameters, and a sub-layer may vanish altogether.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .errors import ModelError
from .latency_table import LatencyTable

TIME_BINS = 5000


def check_speedup(speedup: float, table: LatencyTable, widths: Sequence[dict[str, int]]) -> None:
    """Refuse a speedup that even an encoder without heads and neurons would miss.

    Args:
        speedup: What is asked.
        table: Latencies of the sub-layers.
        widths: What the unpruned model has.

    Raises:
        ModelError: With the most that can be reached.
    """
    bare_ms = table.encoder_ms([{"heads": 0, "neurons": 0}] * len(widths))
    # Each of the two sub-layers of a layer may be counted one bin too dear.
    most = table.encoder_ms(widths) / bare_ms * (1 - 2 * len(widths) / TIME_BINS)
    if speedup > most:
        raise ModelError(
            f"prune.speedup is {speedup:g}, expected at most {most:.2f}, which the latency table "
            "gives for this encoder without any heads and neurons; use a student with fewer layers"
        )


def keep_within_budget(
    head_scores: list[Tensor],
    neuron_scores: list[Tensor],
    table: LatencyTable,
    neuron_multiple: int,
    budget_ms: float,
) -> tuple[list[Tensor], list[Tensor]]:
    """Choose the heads and neurons with the largest importance that an encoder has time for.

    Args:
        head_scores: Per layer the importance of its heads.
        neuron_scores: Per layer the importance of its neurons, on the same scale.
        table: Latencies of the sub-layers.
        neuron_multiple: Numbers of kept neurons are multiples of this, 0 included.
        budget_ms: What all layers may take.

    Returns:
        Per layer the kept heads, and per layer the kept neurons, in rising order.
    """
    attention, feed_forward = table.curves(len(head_scores))
    parts = [(scores, curve, 1) for scores, curve in zip(head_scores, attention, strict=True)]
    parts += [
        (scores, curve, neuron_multiple)
        for scores, curve in zip(neuron_scores, feed_forward, strict=True)
    ]
    ranked = [scores.argsort(descending=True, stable=True) for scores, _, _ in parts]
    widths = [np.arange(0, len(scores) + 1, block) for scores, _, block in parts]
    values, costs = [], []
    for (scores, curve, _), order, options in zip(parts, ranked, widths, strict=True):
        sums = np.concatenate([[0.0], scores[order].double().cumsum(0).numpy()])
        values.append(sums[options])
        costs.append(np.array([curve.at(int(width)) for width in options]))
    chosen = best_under_budget(values, costs, budget_ms)
    kept = [
        order[: options[number]].sort().values
        for order, options, number in zip(ranked, widths, chosen, strict=True)
    ]
    return kept[: len(head_scores)], kept[len(head_scores) :]


def best_under_budget(
    values: Sequence[NDArray[np.float64]], costs: Sequence[NDArray[np.float64]], budget: float
) -> list[int]:
    """Choose one option per item so that the values' sum is largest and the costs' fits.

    The multiple-choice knapsack by dynamic programming over time in bins, each cost rounded up
    (SPDY, Frantar and Alistarh 2022, section 3.1).

    Args:
        values: Per item the value of each option.
        costs: Per item the cost of each option, above 0.
        budget: What the costs may add up to.

    Returns:
        The chosen option of each item.

    Raises:
        ValueError: Even the cheapest options do not fit.
    """
    best = np.full(TIME_BINS + 1, -math.inf)
    best[0] = 0.0
    choices = []
    for value, cost in zip(values, costs, strict=True):
        # A cost of exactly so many bins must not become one more by the division's rounding.
        bins = np.ceil(cost / budget * TIME_BINS - 1e-9).astype(int)
        reached = np.full((len(value), TIME_BINS + 1), -math.inf)
        for option, shift in enumerate(bins):
            if shift <= TIME_BINS:
                reached[option, shift:] = best[: TIME_BINS + 1 - shift] + value[option]
        choices.append((reached.argmax(0), bins))
        best = reached.max(0)
    spent = int(best.argmax())
    if best[spent] == -math.inf:
        raise ValueError(f"the cheapest options cost more than {budget:g}")
    chosen = []
    for options, bins in reversed(choices):
        option = int(options[spent])
        chosen.append(option)
        spent -= int(bins[option])
    return chosen[::-1]

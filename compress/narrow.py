"""Removing dimensions of the residual stream, so that the whole encoder gets narrower."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .config import PruneConfig
from .errors import ModelError
from .importance import hidden_importance, keep_best_blocks
from .progress import progress
from .reconstruction import reconstruct
from .surgery import BertClassifier, hidden_width, keep_hidden
from .tasks import TEXT_CLASSIFICATION
from .tasks.task import SupervisedTask


def narrow(
    model: BertClassifier,
    batches: Sequence[dict[str, Tensor]],
    config: PruneConfig,
    task: SupervisedTask = TEXT_CLASSIFICATION,
) -> None:
    """Remove dimensions of the residual stream in place, in steps of equal shares of it.

    A dimension goes from the embeddings, from every sub-layer and from the pooler alike (as the
    hidden masks of CoFi do, Xia et al. 2022, section 3.1); heads keep their number and size.

    Args:
        model: A BERT-shaped classifier.
        batches: Texts to measure importance on and to reconstruct with: `input_ids` and
            `attention_mask`, each (batch, seq).
        config: How much goes, and how.
        task: What the answers are.

    Raises:
        ModelError: The model is not BERT-shaped, or the multiple allows no such width.
    """
    width = hidden_width(model)
    _check_multiple(width, config)
    wide = copy.deepcopy(model)
    kept = torch.arange(width)
    with progress("Narrow", total=config.steps) as bar:
        for step in range(1, config.steps + 1):
            units = (1 - config.hidden) ** (step / config.steps) * width
            scores = hidden_importance(model, batches, task)
            [best] = keep_best_blocks([scores], units, config.hidden_multiple)
            keep_hidden(model, best)
            kept = kept[best]
            if config.reconstruction == "least_squares":
                reconstruct(model, wide, batches, kept)
            bar.advance()


def _check_multiple(width: int, config: PruneConfig) -> None:
    multiple = config.hidden_multiple
    if width < multiple:
        raise ModelError(
            f"prune.hidden_multiple is {multiple} but the residual stream is {width} wide, "
            "expected at most as much"
        )
    full = math.ceil(width / multiple)
    if round((1 - config.hidden) * width / multiple) >= full:
        least = 1 - (full - 0.5) * multiple / width
        raise ModelError(
            f"prune.hidden is {config.hidden:g}, which leaves a residual stream of {width} as it "
            f"is, expected more than {least:.3g} or a prune.hidden_multiple below {multiple}"
        )

"""Judging a model that is not trained, in the words of a training."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import Collate, TokenizedExamples, batches_by_length, padded, tokenize_split
from .data import load_description
from .states import run_with_states
from .tasks import supervised
from .tasks.task import SupervisedTask
from .training import EVALUATION_BATCH_SIZE, FitResult


def untrained(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, data: Path
) -> tuple[FitResult, int]:
    """Score a model as it is.

    Returns:
        What was done, which is nothing, and the size of the validation split.
    """
    description = load_description(data)
    task = supervised(description.kind)
    validation = tokenize_split(data, "validation", tokenizer, data)
    score = score_of(model, validation, tokenizer, task)
    return FitResult(0, 0.0, score, "float32", task.metric), len(validation)


@torch.inference_mode()
def score_of(
    model: PreTrainedModel,
    examples: TokenizedExamples,
    tokenizer: PreTrainedTokenizerBase,
    task: SupervisedTask,
) -> float:
    """Return the task's metric over examples, without any training."""
    model.eval()
    collate = Collate(tokenizer.pad_token_id)
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    for rows in batches_by_length(examples, EVALUATION_BATCH_SIZE):
        batch = collate([examples[row] for row in rows])
        labels += batch.pop("labels")
        logits += run_with_states(model, batch, ()).logits
    return task.score(padded(logits), padded(labels))

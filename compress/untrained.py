"""Judging a model that is not trained, in the words of a training."""

from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import TokenizedExamples, tokenize_split
from .data import load_description
from .predictions import logits_of
from .tasks import supervised
from .tasks.task import SupervisedTask
from .training import FitResult


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


def score_of(
    model: PreTrainedModel,
    examples: TokenizedExamples,
    tokenizer: PreTrainedTokenizerBase,
    task: SupervisedTask,
) -> float:
    """Return the task's metric over examples, without any training."""
    return task.score(*logits_of(model, examples, tokenizer))

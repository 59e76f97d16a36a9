"""Training a full model on labels, as every task does that has some."""

import inspect
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel, set_seed

from .batches import TokenizedExamples, tokenize_split
from .config import TASK_KINDS, TeacherConfig
from .data import load_description
from .fetch import fetch_model
from .folder import ModelDescription, load_checkpoint, load_tokenizer, save_model
from .predictions import logits_of
from .summary import summarize
from .training import Judge, OwnRate, fit, forget_checkpoints


def fine_tune(
    judge: Judge, *, config: TeacherConfig, seed: int, data: Path, out: Path
) -> dict[str, Any]:
    """Put a new head on a checkpoint, train both and write a model folder to `out/model`.

    Returns:
        Parameters, bytes, steps and the task's metric on the validation split.
    """
    description = load_description(data)
    folder = fetch_model(config.model)
    tokenizer = load_tokenizer(folder, description.split_chinese)
    set_seed(seed)
    model = load_checkpoint(folder, description.labels, description.kind)
    train, validation = (
        _read_by(model, tokenize_split(data, split, tokenizer, data))
        for split in ("train", "validation")
    )
    assert config.training is not None  # recipes see to it
    result = fit(
        _WithLoss(model, judge) if judge.own_loss else model,
        train,
        validation,
        tokenizer,
        config.training,
        seed=seed,
        folder=out / "checkpoints",
        title="Fine-tune teacher",
        chosen_by=judge,
        own_rates=_own_rates(model, config),
    )
    save_model(
        model,
        tokenizer,
        ModelDescription(
            description.labels,
            description.max_length,
            kind=description.kind,
            truncation=description.truncation,
            thresholds=judge.thresholds(*logits_of(model, validation, tokenizer))
            if TASK_KINDS[description.kind].thresholds
            else (),
        ),
        out / "model",
    )
    forget_checkpoints(out / "checkpoints")
    return summarize(model, result, len(validation))


def _own_rates(model: PreTrainedModel, config: TeacherConfig) -> list[OwnRate]:
    """Give the new head, which is all outside of the encoder, the rate that it is to have."""
    if config.head_learning_rate is None:
        return []
    encoder = set(model.base_model.parameters())
    head = [parameter for parameter in model.parameters() if parameter not in encoder]
    return [OwnRate(head, config.head_learning_rate)]


class _WithLoss(nn.Module):
    """A model that learns by the task's loss, because transformers gives it another."""

    def __init__(self, model: PreTrainedModel, task: Judge) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, labels: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """Return loss () and logits of a batch."""
        logits = self.model(**inputs).logits
        return {"loss": self.task.loss(logits, labels), "logits": logits}


def _read_by(model: PreTrainedModel, examples: TokenizedExamples) -> TokenizedExamples:
    """Leave out what this type of model has no input for, such as token types."""
    parameters = inspect.signature(model.forward).parameters
    extras = {name: values for name, values in examples.extras.items() if name in parameters}
    return TokenizedExamples(examples.input_ids, examples.labels, extras, examples.per_token)

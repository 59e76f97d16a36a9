"""Training on transformers' Trainer: resumable, early stopping, batches of like length."""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from .batches import Collate, LengthGrouped, TokenizedExamples, batches_by_length
from .config import TrainingConfig
from .errors import ModelError
from .precision import choose_precision
from .progress import Progress, progress

EVALUATION_BATCH_SIZE = 64


@dataclass(frozen=True)
class FitResult:
    """What a training did.

    Attributes:
        steps: Optimizer steps taken.
        epochs: Passes over the data, early stopping included.
        best_accuracy: Validation accuracy of the kept weights.
        precision: "float32" or "bfloat16".
    """

    steps: int
    epochs: float
    best_accuracy: float
    precision: str


def fit(
    model: nn.Module,
    train: TokenizedExamples,
    validation: TokenizedExamples,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainingConfig,
    *,
    seed: int,
    folder: Path,
    title: str,
) -> FitResult:
    """Train in place and leave the weights with the best validation accuracy.

    A checkpoint is kept in `folder` at every evaluation; a call that finds one goes on from it and
    ends with the same weights as an undisturbed call. Delete the folder with `forget_checkpoints`
    once the model is saved.

    Args:
        model: Takes the batch by name, returns `loss` and `logits`.
        train: What is learned from.
        validation: What decides which weights are kept.
        tokenizer: Gives the padding id.
        config: Length, rate and batch size.
        seed: Order of the batches and dropout.
        folder: For checkpoints.
        title: Shown with the progress.
    """
    set_seed(seed)
    collate = Collate(tokenizer.pad_token_id)
    longest_first = sorted(range(len(train)), key=lambda i: len(train.input_ids[i]))
    middle = longest_first[len(train) // 2 :][: config.batch_size]
    precision = choose_precision(
        config.precision, model, collate([train[index] for index in middle]), folder
    )
    steps_per_epoch = math.ceil(len(train) / config.batch_size)
    steps = math.ceil(steps_per_epoch * config.epochs)
    steps_per_evaluation = max(1, steps_per_epoch // config.evaluations_per_epoch)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=EVALUATION_BATCH_SIZE,
        learning_rate=config.learning_rate,
        warmup_steps=round(steps * config.warmup_fraction),
        weight_decay=config.weight_decay,
        bf16=precision == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        eval_strategy="steps",
        eval_steps=steps_per_evaluation,
        save_strategy="steps",
        save_steps=steps_per_evaluation,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps // 200),
        label_names=["labels"],
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    checkpoint = _last_whole_checkpoint(folder)
    set_seed(seed)  # measuring the precision has drawn random numbers
    with progress(title, total=steps, done=_steps_of(checkpoint)) as bar:
        trainer = _LengthGroupedTrainer(
            model=model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collate,
            compute_metrics=_accuracy,
            callbacks=[EarlyStoppingCallback(config.patience), _ShowProgress(bar)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=checkpoint)
    best = trainer.state.best_metric
    if best is None:
        best = trainer.evaluate()["eval_accuracy"]
    model.to("cpu").eval()
    return FitResult(trainer.state.global_step, trainer.state.epoch or 0.0, best, precision)


def forget_checkpoints(folder: Path) -> None:
    """Delete what `fit` kept for resuming."""
    shutil.rmtree(folder, ignore_errors=False)


@torch.inference_mode()
def accuracy_of(
    model: PreTrainedModel, examples: TokenizedExamples, tokenizer: PreTrainedTokenizerBase
) -> float:
    """Return the share of examples whose label a model gives, without any training."""
    model.eval()
    hits = 0
    for rows in batches_by_length(examples, EVALUATION_BATCH_SIZE):
        batch = Collate(tokenizer.pad_token_id)([examples[row] for row in rows])
        labels = batch.pop("labels")
        hits += int((model(**batch).logits.argmax(-1) == labels).sum())
    return hits / len(examples)


class _LengthGroupedTrainer(Trainer):
    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGrouped:
        assert isinstance(self.train_dataset, TokenizedExamples)
        lengths = [len(ids) for ids in self.train_dataset.input_ids]
        return LengthGrouped(self.args.train_batch_size, lengths, self.args.seed)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        loss = logs.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise ModelError(
                f"the loss became {loss} at step {self.state.global_step}, expected a finite one; "
                f"lower the learning rate (the last checkpoint stays in {self.args.output_dir})"
            )
        super().log(logs, *args, **kwargs)


class _ShowProgress(TrainerCallback):
    def __init__(self, bar: Progress) -> None:
        self.bar = bar

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.bar.advance()

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        logs: Mapping[str, float] = kwargs["logs"]
        shown = {"loss": "loss", "eval_accuracy": "accuracy"}
        self.bar.advance(0, **{shown[name]: logs[name] for name in shown if name in logs})


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    classes = np.asarray(prediction.predictions).argmax(-1)
    return {"accuracy": float((classes == prediction.label_ids).mean())}


def _last_whole_checkpoint(folder: Path) -> str | None:
    """Drop a checkpoint that was cut off while being written: its state file comes last."""
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))) is not None:
        try:
            json.loads((Path(last) / "trainer_state.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            shutil.rmtree(last)
        else:
            return str(last)
    return None


def _steps_of(checkpoint: str | None) -> int:
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0

"""Training on transformers' Trainer: resumable, early stopping, batches of like length."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from .batches import Collate, LengthGrouped, TokenizedExamples
from .config import TrainingConfig
from .errors import ModelError
from .freed_memory import freed_memory_kept
from .precision import choose_precision
from .progress import Progress, progress
from .word_factors import word_rows

EVALUATION_BATCH_SIZE = 64
TEACHER = "teacher_logits"  # among the extras of an example


class Judge(Protocol):
    """How the validation split is judged, as `tasks.task.SupervisedTask` says it."""

    metric: str
    own_loss: bool

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss to the labels."""

    def rows(self, values: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Choose the rows that count."""

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """Return how far answers are from the teacher's."""

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Return the metric."""

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Return the share of the teacher's answers."""

    def thresholds(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        """Return the logits from which on each label is given."""


@dataclass(frozen=True)
class FitResult:
    """What a training did.

    Attributes:
        steps: Optimizer steps taken.
        epochs: Passes over the data, early stopping included.
        best_score: The task's metric on the validation split with the kept weights; None without
            labels.
        metric: Its name.
        teacher_agreement: Share of the validation split on which they give the teacher's answer;
            None without a teacher.
        teacher_kl: Divergence to the teacher on the validation split: KL in nats an example where
            answers are probabilities.
        precision: "float32" or "bfloat16".
        best_loss: Validation loss of the kept weights.
    """

    steps: int
    epochs: float
    best_score: float | None
    precision: str
    metric: str | None = None
    teacher_agreement: float | None = None
    teacher_kl: float | None = None
    best_loss: float | None = None


@dataclass(frozen=True)
class OwnRate:
    """Parameters that are trained at another rate than the rest, and without weight decay.

    Attributes:
        parameters: Parameters of the model that is trained.
        learning_rate: Peak of the linear schedule.
    """

    parameters: list[nn.Parameter]
    learning_rate: float


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
    callbacks: Sequence[TrainerCallback] = (),
    chosen_by: Judge | None = None,
    own_rates: Sequence[OwnRate] = (),
) -> FitResult:
    """Train in place and leave the weights that are best on the validation split.

    A checkpoint is kept in `folder` at every evaluation; a call that finds one goes on from it and
    ends with the same weights as an undisturbed call. Delete the folder with `forget_checkpoints`
    once the model is saved.

    Args:
        model: Takes the batch by name, returns `loss` and `logits`.
        train: What is learned from.
        validation: What decides which weights are kept; with `teacher_logits` among its extras
            the fidelity to the teacher is logged as well.
        tokenizer: Gives the padding id.
        config: Length, rate and batch size.
        seed: Order of the batches and dropout.
        folder: For checkpoints.
        title: Shown with the progress.
        callbacks: Told by the trainer what it does.
        chosen_by: The task, whose metric decides which weights are kept; None: the lowest loss,
            which needs no labels.
        own_rates: Parameters that have another learning rate than `config` says.

    Raises:
        ModelError: The loss is no longer finite.
    """
    set_seed(seed)
    _set_dropout(model, config.dropout)
    frozen = [_words(model)] if config.freeze_words else []
    for table in frozen:
        table.requires_grad_(False)
    collate = Collate(tokenizer.pad_token_id)
    typical = collate(_typical_batch(train, config.batch_size))
    precision = choose_precision(config.precision, model, typical, folder)
    steps = math.ceil(math.ceil(len(train) / config.batch_size) * config.epochs)
    of_run = {"output_dir": str(folder), "seed": seed, "bf16": precision == "bfloat16"}
    checkpoint = _last_whole_checkpoint(folder)
    set_seed(seed)  # measuring the precision has drawn random numbers
    trainer = _LengthGroupedTrainer(
        model=model,
        args=_arguments(config, steps, chosen_by, TEACHER in validation.extras, **of_run),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collate,
        compute_metrics=partial(_metrics, chosen_by) if chosen_by else None,
        # The given ones first: they may have a say in which evaluation was the best.
        callbacks=[*callbacks, EarlyStoppingCallback(config.patience)],
    )
    trainer.own_rates = own_rates
    trainer.remove_callback(PrinterCallback)
    with (
        freed_memory_kept(),
        progress(title, total=steps, done=_steps_of(checkpoint)) as bar,
    ):
        trainer.add_callback(_ShowProgress(bar, _shown(chosen_by)))
        trainer.train(resume_from_checkpoint=checkpoint)
    metrics = _best_metrics(trainer.state) or trainer.evaluate()
    model.to("cpu").eval()
    for table in frozen:
        table.requires_grad_(True)
    return _result(trainer.state, metrics, chosen_by, precision)


def _typical_batch(examples: TokenizedExamples, size: int) -> list[Any]:
    """Return a batch of examples of median length."""
    by_length = sorted(range(len(examples)), key=lambda row: len(examples.input_ids[row]))
    return [examples[row] for row in by_length[len(examples) // 2 :][:size]]


def _result(
    state: TrainerState, metrics: Mapping[str, float], judge: Judge | None, precision: str
) -> FitResult:
    return FitResult(
        steps=state.global_step,
        epochs=state.epoch or 0.0,
        best_score=metrics[f"eval_{judge.metric}"] if judge else None,
        metric=judge.metric if judge else None,
        precision=precision,
        teacher_agreement=metrics.get("eval_agreement"),
        teacher_kl=metrics.get("eval_kl"),
        best_loss=metrics["eval_loss"],
    )


def _words(model: nn.Module) -> nn.Embedding:
    """Return the word table of a model, or of the one that a wrapper holds."""
    return word_rows(next(one for one in model.modules() if isinstance(one, PreTrainedModel)))


def _set_dropout(model: nn.Module, share: float | None) -> None:
    """Set the share dropped everywhere; None leaves the model's own."""
    for module in model.modules():
        if isinstance(module, nn.Dropout) and share is not None:
            module.p = share


def _arguments(
    config: TrainingConfig, steps: int, judge: Judge | None, has_teacher: bool, **of_run: Any
) -> TrainingArguments:
    evaluations = config.epochs * config.evaluations_per_epoch
    steps_per_evaluation = max(1, int(steps / evaluations))
    return TrainingArguments(
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=EVALUATION_BATCH_SIZE,
        learning_rate=config.learning_rate,
        warmup_steps=round(steps * config.warmup_fraction),
        weight_decay=config.weight_decay,
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps",
        eval_steps=steps_per_evaluation,
        save_strategy="steps",
        save_steps=steps_per_evaluation,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=judge.metric if judge else "loss",
        greater_is_better=judge is not None,
        label_names=["labels", TEACHER] if has_teacher else ["labels"],
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps // 200),
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        **of_run,
    )


def forget_checkpoints(folder: Path) -> None:
    """Delete what `fit` kept for resuming."""
    shutil.rmtree(folder, ignore_errors=False)


@torch.inference_mode()
def loss_of(
    model: nn.Module, examples: TokenizedExamples, tokenizer: PreTrainedTokenizerBase
) -> float:
    """Return the mean loss over examples in the batches that `fit` evaluates, without training."""
    model.eval()
    collate, total = Collate(tokenizer.pad_token_id), 0.0
    for start in range(0, len(examples), EVALUATION_BATCH_SIZE):
        rows = range(start, min(start + EVALUATION_BATCH_SIZE, len(examples)))
        total += len(rows) * model(**collate([examples[row] for row in rows]))["loss"].item()
    return total / len(examples)


class _LengthGroupedTrainer(Trainer):
    own_rates: Sequence[OwnRate] = ()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        for own in self.own_rates:
            taken = {id(parameter) for parameter in own.parameters}
            for group in optimizer.param_groups:
                group["params"] = [one for one in group["params"] if id(one) not in taken]
            optimizer.add_param_group(
                {"params": own.parameters, "lr": own.learning_rate, "weight_decay": 0.0}
            )
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if not isinstance(self.model, PreTrainedModel):  # those know their own ties
            state_dict = _each_once(self.model)
        super()._save(output_dir, state_dict)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        if isinstance(self.model, PreTrainedModel):
            super()._issue_warnings_after_load(load_result)
            return
        # The library would warn of what `_save` leaves out; all that it writes has to be there.
        missing = _each_once(self.model).keys() & set(load_result.missing_keys)
        wrong = sorted({*missing, *load_result.unexpected_keys})
        if wrong:
            raise ModelError(
                f"a checkpoint in {self.args.output_dir} does not fit the model at {wrong[0]}, "
                "expected one of this training; remove the folder to begin anew"
            )

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGrouped:
        assert isinstance(self.train_dataset, TokenizedExamples)
        lengths = [len(ids) for ids in self.train_dataset.input_ids]
        return LengthGrouped(self.args.train_batch_size, lengths, self.args.seed)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        # Looked at here because the trainer leaves losses that are not finite out of its log; the
        # evaluation comes through here too, and before a checkpoint is written.
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if not torch.isfinite(loss).all():
            terms = outputs.get("terms", {}).items()
            guilty = ", ".join(name for name, term in terms if not torch.isfinite(term).all())
            raise ModelError(
                f"the loss{f' of {guilty}' if guilty else ''} became {loss.mean().item()} at step "
                f"{self.state.global_step}, expected a finite one; lower the learning rate (the "
                f"last checkpoint stays in {self.args.output_dir})"
            )
        return (loss, outputs) if return_outputs else loss


def _each_once(model: Any) -> dict[str, Tensor]:
    """Return what a model holds, a tied tensor under its first name only, as safetensors wants."""
    held: dict[str, Tensor] = model.state_dict(keep_vars=True)
    first = {id(tensor): name for name, tensor in reversed(held.items())}
    return {name: tensor.detach() for name, tensor in held.items() if first[id(tensor)] == name}


class _ShowProgress(TrainerCallback):
    def __init__(self, bar: Progress, shown: Mapping[str, str]) -> None:
        self.bar, self.shown = bar, shown

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.bar.advance()

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        logs: Mapping[str, float] = kwargs["logs"]
        self.bar.advance(0, **{self.shown[name]: logs[name] for name in self.shown if name in logs})


def _shown(judge: Judge | None) -> dict[str, str]:
    """Map what is logged to its name beside the progress."""
    if judge is None:
        return {"loss": "loss", "eval_loss": "validation_loss"}
    names = (judge.metric, "agreement", "kl")
    return {"loss": "loss"} | {f"eval_{name}": name for name in names}


def _metrics(judge: Judge, prediction: EvalPrediction) -> dict[str, float]:
    logits = torch.from_numpy(prediction.predictions)
    if not isinstance(prediction.label_ids, tuple):
        return {judge.metric: judge.score(logits, torch.from_numpy(prediction.label_ids))}
    labels, teacher = (torch.from_numpy(array) for array in prediction.label_ids)
    ours, theirs = (judge.rows(values, {"labels": labels}) for values in (logits, teacher))
    return {
        judge.metric: judge.score(logits, labels),
        "agreement": judge.agreement(ours, theirs),
        "kl": judge.divergence(ours, theirs).item(),
    }


def _best_metrics(state: TrainerState) -> dict[str, float] | None:
    for logs in reversed(state.log_history):
        if "eval_loss" in logs and logs["step"] == state.best_global_step:
            return logs
    return None


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

"""Stage: teach a student on plain text, so that it starts a task knowing the language.

General distillation of TinyBERT (Jiao et al. 2020, section 3.2) and MiniLMv2 (Wang et al. 2021):
the teacher is the checkpoint before any fine-tuning, and states are compared. Where its head is
learned from as well (Sanh et al. 2019), both read texts with hidden tokens, whatever is compared.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from .batches import tokenize_split
from .config import GeneralConfig, Source
from .data import load_description
from .errors import ModelError
from .fetch import fetch_model
from .folder import ModelDescription, load_checkpoint, load_tokenizer, save_model
from .learner import StudentWithObjectives
from .masked_language import TeacherHead, load_masked_lm
from .masking import Masking, with_hidden_tokens
from .objectives.masked_tokens import MaskedTokens
from .relative_bias import relative_buckets
from .student import build_student
from .summary import summarize
from .surgery import bert_layers
from .teacher_outputs import load_teacher_outputs
from .tokenizer_check import check_same_vocabulary
from .training import FitResult, fit, forget_checkpoints, loss_of

logger = logging.getLogger(__name__)

MASKED_LM = "masked_lm"
HEADLESS = (
    "name one, make one by a recipe whose task.kind is masked-language-model, or use "
    "general.objectives on states such as hidden or relations"
)


def keep_untuned_teacher(
    *, model: Source, seed: int, texts: Path, out: Path, cut: bool, head: bool = False
) -> dict[str, Any]:
    """Write the teacher's checkpoint to `out/model` as it is.

    Its classifier is new and never read; with it the folder is what the teacher stage writes.
    With its head it is written to `out/masked_lm` too.

    Args:
        model: The checkpoint.
        seed: For the new head.
        texts: Folder of the general-texts stage.
        out: Stage folder.
        cut: The student is cut from it, which cannot be done to every type of model.
        head: What it reads in place of hidden tokens is learned from.

    Returns:
        Parameters.

    Raises:
        ModelError: It is to be cut and is not BERT-shaped, or has no head that names words.
    """
    description = load_description(texts)
    folder = fetch_model(model)
    if head:
        masked_lm = load_masked_lm(folder, "teacher.model", HEADLESS)
        masked_lm.save_pretrained(out / MASKED_LM)
        load_tokenizer(folder).save_pretrained(out / MASKED_LM)
    set_seed(seed)
    teacher = load_checkpoint(folder, description.labels)
    if cut:
        bert_layers(teacher)  # refused here, before the teacher has read all texts
    save_model(
        teacher,
        load_tokenizer(folder),
        ModelDescription(description.labels, description.max_length),
        out / "model",
    )
    return {"parameters": teacher.num_parameters()}


def distill_general(
    *,
    config: GeneralConfig,
    seed: int,
    texts: Path,
    teacher: Path,
    teacher_outputs: Path,
    out: Path,
) -> dict[str, Any]:
    """Build the student, train it and write its encoder to `out/model`, an ordinary checkpoint.

    A student that learned to name hidden tokens keeps its head there.

    Args:
        config: Student, objectives and training.
        seed: For fresh weights, the order of batches and dropout.
        texts: Folder of the general-texts stage.
        teacher: Folder of the general-teacher stage.
        teacher_outputs: Folder of its teacher-outputs stage, with the validation split's states.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        Parameters, bytes, steps and the objectives' loss on the held-out texts, before and after.

    Raises:
        ModelError: Student, teacher and objectives do not fit together.
    """
    description = load_description(texts)
    set_seed(seed)
    student, tokenizer_folder = build_student(config.student, teacher / "model", description.labels)
    _check_can_be_saved(student)
    tokenizer = load_tokenizer(tokenizer_folder)
    outputs = load_teacher_outputs(teacher_outputs)
    train, validation = (
        tokenize_split(texts, split, tokenizer, texts) for split in ("train", "validation")
    )
    masked = config.objectives.masked_tokens
    if masked is not None:
        outputs = replace(outputs, head=_teacher_head(teacher / MASKED_LM, tokenizer))
        masking = Masking.of(tokenizer, masked.fraction)
        train, validation = (with_hidden_tokens(split, masking) for split in (train, validation))
    model = StudentWithObjectives(student, config.objectives, outputs, labelled=False)
    model.attach(train, outputs.states)
    model.attach(validation, outputs.validation_states)
    loss_before = loss_of(model, validation, tokenizer)
    result = fit(
        model,
        train,
        validation,
        tokenizer,
        config.training,
        seed=seed,
        folder=out / "checkpoints",
        title="Distil (general)",
    )
    _warn_where_nothing_was_won(result, loss_before)
    learned = _checkpoint_of(model)
    learned.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    forget_checkpoints(out / "checkpoints")
    return summarize(learned, result, len(validation)) | {"validation_loss_before": loss_before}


def _check_can_be_saved(student: PreTrainedModel) -> None:
    if relative_buckets(student) is not None:
        raise ModelError(
            "general.student starts from an MPNet, expected a BERT checkpoint, because an ordinary "
            "checkpoint cannot hold its bias on distances; start from it in distill.student"
        )


def _warn_where_nothing_was_won(result: FitResult, loss_before: float) -> None:
    if result.best_loss is not None and result.best_loss >= loss_before:
        logger.warning(
            "general distillation left the loss on held-out texts at %.3g, where it began at %.3g: "
            "the student is no better for it; change general.training.learning_rate or epochs",
            result.best_loss,
            loss_before,
        )


def _teacher_head(folder: Path, student: PreTrainedTokenizerBase) -> TeacherHead:
    check_same_vocabulary(load_tokenizer(folder), student)
    return TeacherHead(load_masked_lm(folder, "teacher.model", HEADLESS))


def _checkpoint_of(model: StudentWithObjectives) -> PreTrainedModel:
    """Return the student as transformers knows it: its encoder, in its head if it has one."""
    encoder: Any = model.student.base_model
    heads = [one.head for one in model.objectives.values() if isinstance(one, MaskedTokens)]
    return heads[0].with_encoder(encoder) if heads else encoder

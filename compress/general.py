"""Stage: teach a student on plain text, so that it starts a task knowing the language.

General distillation of TinyBERT (Jiao et al. 2020, section 3.2) and MiniLMv2 (Wang et al. 2021):
the teacher is the checkpoint before any fine-tuning, and only states are compared.
"""

import logging
from pathlib import Path
from typing import Any

from transformers import set_seed

from .batches import tokenize
from .config import GeneralConfig, Source
from .data import load_description, load_split
from .errors import ModelError
from .fetch import fetch_model
from .folder import ModelDescription, load_checkpoint, load_tokenizer, save_model
from .learner import StudentWithObjectives
from .relative_bias import relative_buckets
from .student import build_student
from .summary import summarize
from .surgery import bert_layers
from .teacher_outputs import load_teacher_outputs
from .training import fit, forget_checkpoints, loss_of

logger = logging.getLogger(__name__)


def keep_untuned_teacher(
    *, model: Source, seed: int, texts: Path, out: Path, cut: bool
) -> dict[str, Any]:
    """Write the teacher's checkpoint to `out/model` as it is.

    Its classifier is new and never read; with it the folder is what the teacher stage writes.

    Args:
        model: The checkpoint.
        seed: For the new head.
        texts: Folder of the general-texts stage.
        out: Stage folder.
        cut: The student is cut from it, which cannot be done to every type of model.

    Returns:
        Parameters.

    Raises:
        ModelError: It is to be cut and is not BERT-shaped.
    """
    description = load_description(texts)
    folder = fetch_model(model)
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
    if relative_buckets(student) is not None:
        raise ModelError(
            "general.student starts from an MPNet, expected a BERT checkpoint, because an ordinary "
            "checkpoint cannot hold its bias on distances; start from it in distill.student"
        )
    tokenizer = load_tokenizer(tokenizer_folder)
    outputs = load_teacher_outputs(teacher_outputs)
    model = StudentWithObjectives(student, config.objectives, outputs, labelled=False)
    train, validation = (
        tokenize(load_split(texts, split), tokenizer, description.max_length)
        for split in ("train", "validation")
    )
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
        chosen_by="loss",
    )
    if result.best_loss is not None and result.best_loss >= loss_before:
        logger.warning(
            "general distillation left the loss on held-out texts at %.3g, where it began at %.3g: "
            "the student is no better for it; change general.training.learning_rate or epochs",
            result.best_loss,
            loss_before,
        )
    encoder: Any = student.base_model
    encoder.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    forget_checkpoints(out / "checkpoints")
    return summarize(encoder, result, len(validation)) | {"validation_loss_before": loss_before}

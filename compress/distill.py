"""Stage: train a student on what the teacher said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, set_seed

from .batches import TokenizedExamples, tokenize
from .config import DistillConfig, ObjectivesConfig, TrainingConfig
from .data import load_description, load_split
from .folder import ModelDescription, load_tokenizer, save_model
from .learner import FollowSchedule, StudentWithObjectives
from .student import build_student
from .summary import summarize
from .teacher_outputs import TeacherOutputs, load_teacher_outputs
from .training import FitResult, OwnRate, fit, forget_checkpoints
from .word_factors import factorise_words, word_rows


def distill(
    *,
    config: DistillConfig,
    seed: int,
    data: Path,
    examples: Path,
    teacher: Path,
    teacher_outputs: Path,
    out: Path,
    general: Path | None = None,
) -> dict[str, Any]:
    """Build the student, train it and write `out/model`.

    Args:
        config: Student, objectives and training.
        seed: For fresh weights, the order of batches and dropout.
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        teacher: Folder of the teacher stage.
        teacher_outputs: Folder of the teacher-outputs stage.
        out: Stage folder; may hold the checkpoints of an interrupted try.
        general: Folder of the general-distill stage, where the student starts from it.

    Returns:
        Parameters, bytes, steps and validation accuracy with its interval.

    Raises:
        ModelError: Student, teacher and objectives do not fit together.
    """
    description = load_description(data)
    set_seed(seed)
    student, tokenizer_folder = build_student(
        config.student,
        teacher / "model",
        description.labels,
        general / "model" if general else None,
    )
    tokenizer = load_tokenizer(tokenizer_folder)
    rank = config.student.embedding_rank
    if rank is not None:
        learned_from = tokenize(load_split(examples, "train"), tokenizer, description.max_length)
        factorise_words(student, rank, _counts(learned_from, word_rows(student).num_embeddings))
    result, validation_size = learn_from_teacher(
        student,
        tokenizer,
        config.objectives,
        config.training,
        seed=seed,
        data=data,
        examples=examples,
        teacher_outputs=load_teacher_outputs(teacher_outputs),
        out=out,
        title="Distil",
    )
    save_model(
        student,
        tokenizer,
        ModelDescription(description.labels, description.max_length, embedding_rank=rank),
        out / "model",
    )
    forget_checkpoints(out / "checkpoints")
    return summarize(student, result, validation_size)


def learn_from_teacher(
    student: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    objectives: ObjectivesConfig,
    training: TrainingConfig,
    *,
    seed: int,
    data: Path,
    examples: Path,
    teacher_outputs: TeacherOutputs,
    out: Path,
    title: str,
    callbacks: Sequence[TrainerCallback] = (),
    penalty: nn.Module | None = None,
    own_rates: Sequence[OwnRate] = (),
) -> tuple[FitResult, int]:
    """Train a student in place; return what was done and the size of the validation split.

    `penalty` is what `StudentWithObjectives` takes, `own_rates` what `fit` takes.

    Raises:
        ModelError: The objectives do not fit this student and teacher.
    """
    max_length = load_description(data).max_length
    train = tokenize(load_split(examples, "train"), tokenizer, max_length)
    validation = tokenize(load_split(data, "validation"), tokenizer, max_length)
    model = StudentWithObjectives(student, objectives, teacher_outputs, penalty=penalty)
    model.attach(train, teacher_outputs.states)
    train.extras["teacher_logits"] = torch.from_numpy(teacher_outputs.logits.copy())
    validation.extras = {
        "teacher_logits": torch.from_numpy(teacher_outputs.validation_logits.copy())
    }
    result = fit(
        model,
        train,
        validation,
        tokenizer,
        training,
        seed=seed,
        folder=out / "checkpoints",
        title=title,
        callbacks=[FollowSchedule(model), *callbacks],
        own_rates=own_rates,
    )
    return result, len(validation)


def _counts(examples: TokenizedExamples, vocabulary: int) -> Tensor:
    """Return how often each token stands in the texts. Shape: (vocabulary,)."""
    numbers = [number for ids in examples.input_ids for number in ids]
    return torch.bincount(torch.tensor(numbers), minlength=vocabulary)

"""Stage: train a student on what the teacher said."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import set_seed

from .batches import TokenizedExamples, tokenize_split
from .config import DistillConfig
from .data import load_description
from .folder import ModelDescription, load_tokenizer, save_model
from .lesson import Lesson, learn_from_teacher
from .student import build_student
from .summary import summarize
from .teacher_outputs import load_teacher_outputs
from .training import forget_checkpoints
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
        description.kind,
    )
    tokenizer = load_tokenizer(tokenizer_folder, description.split_chinese)
    rank = config.student.embedding_rank
    if rank is not None:
        learned_from = tokenize_split(examples, "train", tokenizer, data)
        factorise_words(student, rank, _counts(learned_from, word_rows(student).num_embeddings))
    result, validation_size = learn_from_teacher(
        student,
        tokenizer,
        config.objectives,
        config.training,
        Lesson(seed, data, examples, load_teacher_outputs(teacher_outputs)),
        out=out,
        title="Distil",
    )
    save_model(
        student,
        tokenizer,
        ModelDescription(
            description.labels,
            description.max_length,
            embedding_rank=rank,
            kind=description.kind,
            truncation=description.truncation,
        ),
        out / "model",
    )
    forget_checkpoints(out / "checkpoints")
    return summarize(student, result, validation_size)


def _counts(examples: TokenizedExamples, vocabulary: int) -> Tensor:
    """Return how often each token stands in the texts. Shape: (vocabulary,)."""
    numbers = [number for ids in examples.input_ids for number in ids]
    return torch.bincount(torch.tensor(numbers), minlength=vocabulary)

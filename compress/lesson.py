"""Letting a student learn from its teacher, as every stage does that trains one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from .batches import place_answers, tokenize_split
from .config import ObjectivesConfig, TrainingConfig
from .data import load_description
from .learner import FollowSchedule, StudentWithObjectives
from .tasks import supervised
from .teacher_outputs import TeacherOutputs
from .training import TEACHER, FitResult, OwnRate, fit


@dataclass(frozen=True)
class Lesson:
    """What is learned from.

    Attributes:
        seed: Order of batches and dropout.
        data: Folder of the data stage, whose validation split decides which weights are kept.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        teacher_outputs: What the teacher said about both.
    """

    seed: int
    data: Path
    examples: Path
    teacher_outputs: TeacherOutputs


def learn_from_teacher(
    student: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    objectives: ObjectivesConfig,
    training: TrainingConfig,
    lesson: Lesson,
    *,
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
    said = lesson.teacher_outputs
    description = load_description(lesson.data)
    train = tokenize_split(lesson.examples, "train", tokenizer, lesson.data)
    validation = tokenize_split(lesson.data, "validation", tokenizer, lesson.data)
    model = StudentWithObjectives(student, objectives, said, penalty=penalty)
    model.attach(train, said.states)
    train.extras[TEACHER] = place_answers(said.logits, train)
    validation.extras[TEACHER] = place_answers(said.validation_logits, validation)
    result = fit(
        model,
        train,
        validation,
        tokenizer,
        training,
        seed=lesson.seed,
        folder=out / "checkpoints",
        title=title,
        callbacks=[FollowSchedule(model), *callbacks],
        own_rates=own_rates,
        chosen_by=supervised(description.kind),
    )
    return result, len(validation)

"""What the data, the kind of task and the teacher rule out of each other."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from pocketbert.compress.config import TASK_KINDS, TrainingConfig
from pocketbert.compress.tables import OF_LABELS

if TYPE_CHECKING:
    from ..schema import Recipe


def data_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield what the kind of task rules out of the data and of the teacher."""
    yield from _label_problems(recipe)
    yield from _training_problems(recipe)
    if TASK_KINDS[recipe.task.kind].vectors:
        yield from _vector_problems(recipe)
    elif recipe.data.columns.pair is not None:
        yield from _pair_problems(recipe)
    yield from _row_problems(recipe)


def _label_problems(recipe: "Recipe") -> Iterator[str]:
    kind = TASK_KINDS[recipe.task.kind]
    if recipe.data.format == "text" and kind.labelled:
        yield (
            "data.format is 'text', expected one with a column of labels, which task.kind "
            f"{recipe.task.kind!r} learns"
        )
    labels = len(recipe.task.labels)
    if recipe.data.label_threshold is not None and labels != 2:
        yield (
            f"data.label_threshold is {recipe.data.label_threshold:g}, expected no threshold "
            f"because task.labels has {labels} entries, not two"
        )
    elif recipe.data.label_threshold is not None and kind.fewest_labels != 2:
        yield (
            f"data.label_threshold is {recipe.data.label_threshold:g}, expected no threshold "
            f"where task.kind is {recipe.task.kind!r}, whose texts have more than one label"
        )


def _training_problems(recipe: "Recipe") -> Iterator[str]:
    kind = TASK_KINDS[recipe.task.kind]
    teachers = {"teacher": recipe.teacher} | {
        f"further_teachers.{number}": each for number, each in enumerate(recipe.further_teachers)
    }
    for name, teacher in teachers.items():
        if teacher.decoder is not None and not kind.generates:
            yield (
                f"{name}.decoder is a section, expected none (null) where task.kind is "
                f"{recipe.task.kind!r}, which writes no texts"
            )
        if teacher.head_learning_rate is not None and not kind.new_head:
            yield (
                f"{name}.head_learning_rate is {teacher.head_learning_rate:g}, expected none "
                f"(null) where task.kind is {recipe.task.kind!r}, whose teacher gets no new head"
            )
    if not kind.vectors and recipe.teacher.training is None:
        yield (
            "teacher.training is missing, expected a section with the keys "
            f"{', '.join(each.name for each in fields(TrainingConfig))}"
        )


def _row_problems(recipe: "Recipe") -> Iterator[str]:
    kind = TASK_KINDS[recipe.task.kind]
    if recipe.data.format == "squad" and not kind.context:
        yield (
            f"data.format is 'squad', expected another where task.kind is {recipe.task.kind!r}, "
            "which answers no questions"
        )
    if recipe.data.block and (kind.vectors or kind.context or kind.generates):
        yield (
            f"data.block is {recipe.data.block}, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}, whose rows stay together by their second text"
        )
    if kind.context and recipe.general:
        yield (
            f"general is a section, expected none (null) where task.kind is {recipe.task.kind!r}, "
            "because it reads single texts"
        )
    if recipe.data.format in ("conll", "tagged") and (kind.context or not kind.per_word):
        yield (
            f"data.format is {recipe.data.format!r}, expected another where task.kind is "
            f"{recipe.task.kind!r}, because its labels are of words"
        )
    own = "squad" if kind.context else "conll"
    if kind.per_word and (recipe.data.format in ("csv", "tsv", *OF_LABELS)):
        yield (
            f"data.format is {recipe.data.format!r}, expected 'jsonl', 'parquet' or {own!r} where "
            f"task.kind is {recipe.task.kind!r}, whose labels are lists of spans"
        )


def _pair_problems(recipe: "Recipe") -> Iterator[str]:
    if recipe.data.format in OF_LABELS:
        yield (
            f"data.format is {recipe.data.format!r}, expected another beside data.columns.pair, "
            "because it has single texts"
        )
    if not TASK_KINDS[recipe.task.kind].pairs:
        yield (
            f"data.columns.pair is {recipe.data.columns.pair!r}, expected none (null) where "
            f"task.kind is {recipe.task.kind!r}, which reads single texts"
        )
    if recipe.task.truncation not in ("head", "tail"):
        yield (
            f"task.truncation is {recipe.task.truncation!r}, expected 'head' or 'tail' beside "
            "data.columns.pair, whose texts are cut as one"
        )
    for section in ("transfer", "general"):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) beside data.columns.pair, because "
                "it reads single texts"
            )


def _vector_problems(recipe: "Recipe") -> Iterator[str]:
    kind = recipe.task.kind
    if recipe.data.columns.pair is None:
        yield (
            f"data.columns.pair is missing, expected the column of the second text where task.kind "
            f"is {kind!r}, which compares two texts"
        )
    if recipe.teacher.training is not None:
        yield (
            f"teacher.training is a section, expected none (null) where task.kind is {kind!r}, "
            "whose teacher is taken as it is"
        )
    if recipe.distill and recipe.distill.student.bilstm:
        yield (
            f"distill.student.bilstm is a section, expected none (null) where task.kind is {kind!r}"
        )

"""Which objectives several teachers, a kind of answers and a task's texts allow."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pocketbert.compress.config import TASK_KINDS

if TYPE_CHECKING:
    from ..schema import Recipe


def teacher_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield where several teachers are given and nothing learns from their mean."""
    sections = [section.objectives for section in recipe.learning.values() if section.objectives]
    reads_mean = any({"soft_targets", "logits"} & set(section.chosen) for section in sections)
    if recipe.further_teachers and not reads_mean:
        yield (
            f"further_teachers has {len(recipe.further_teachers)} entries, expected none without "
            "an objective soft_targets or logits in distill, prune, sparsify or qat, which learn "
            "from their mean"
        )


def answer_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield which objectives are for another kind of answers."""
    given = "vectors" if TASK_KINDS[recipe.task.kind].vectors else "labels"
    for name, section in recipe.learning.items():
        for objective, config in section.objectives.chosen.items() if section.objectives else ():
            if config.answers not in (None, given):
                yield (
                    f"{name}.objectives.{objective} is a section, expected none (null) where "
                    f"task.kind is {recipe.task.kind!r}, whose answers are {given}"
                )


def masked_token_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield where tokens are masked of a task's texts, which are read whole."""
    for name, section in recipe.learning.items():
        if section.objectives and section.objectives.masked_tokens:
            yield (
                f"{name}.objectives.masked_tokens is a section, expected none (null) outside "
                "general, where a task's texts are read whole"
            )

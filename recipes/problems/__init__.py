"""What is wrong between the sections of a recipe, one file a subject; each yields sentences."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from .data import data_problems
from .engine import gate_problems, int8_problems, method_problems, missing_problems
from .general import general_problems
from .learning import answer_problems, masked_token_problems, teacher_problems
from .pruning import pruning_problems, shape_problems
from .words import word_problems
from .writing import writing_problems

if TYPE_CHECKING:
    from ..schema import Recipe

# In the order in which a user reads them.
BEHIND_THE_TEACHER = (
    missing_problems,
    method_problems,
    gate_problems,
    word_problems,
    writing_problems,
    int8_problems,
    answer_problems,
    teacher_problems,
    shape_problems,
    masked_token_problems,
    general_problems,
    pruning_problems,
)
OF_EVERY_RECIPE = ("name", "about", "seed", "task", "data", "teacher")


def problems_between_sections(recipe: "Recipe") -> Iterator[str]:
    """Yield a sentence for everything that sections rule out of each other."""
    yield from data_problems(recipe)
    if not recipe.to_engine:
        yield from _sections_behind_the_teacher(recipe)
        return
    for problems in BEHIND_THE_TEACHER:
        yield from problems(recipe)


def _sections_behind_the_teacher(recipe: "Recipe") -> Iterator[str]:
    for section in (each.name for each in fields(recipe) if each.name not in OF_EVERY_RECIPE):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) where task.kind is "
                f"{recipe.task.kind!r}, whose recipes end with the teacher so far"
            )

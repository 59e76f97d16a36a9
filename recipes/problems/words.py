"""What is not done where every word has a label."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pocketbert.compress.config import TASK_KINDS

if TYPE_CHECKING:
    from ..schema import Recipe


def word_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield what is not done where every word has a label."""
    if not TASK_KINDS[recipe.task.kind].per_word:
        return
    if recipe.transfer:
        yield (
            "transfer is a section, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}: what the teacher says of texts without labels is not kept"
        )
    if recipe.distill and recipe.distill.student.bilstm:
        yield (
            "distill.student.bilstm is a section, expected none (null) where task.kind is "
            f"{recipe.task.kind!r}, because it answers whole texts"
        )
    if recipe.task.truncation == "head+tail":
        yield (
            "task.truncation is 'head+tail', expected 'head' or 'tail' where task.kind is "
            f"{recipe.task.kind!r}, whose words stand at known tokens"
        )
    if recipe.compile and "tensorrt" in (recipe.compile.target, *recipe.compile.also):
        yield (
            "compile names tensorrt, expected other targets where task.kind is "
            f"{recipe.task.kind!r}, because its runner takes one answer a text"
        )

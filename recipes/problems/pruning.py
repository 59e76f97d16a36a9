"""What a pruned student, the 2:4 pattern and a BiLSTM rule out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .general import layer_map_problems

if TYPE_CHECKING:
    from ..schema import LearningConfig, Recipe


def shape_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield what a BiLSTM and the 2:4 pattern rule out."""
    if recipe.distill and recipe.distill.student.bilstm:
        for name in sorted({"prune", "sparsify"} & set(recipe.learning)):
            yield (
                f"{name} is a section, expected none (null) with distill.student.bilstm, which "
                "has no heads and no feed-forward neurons"
            )
    if _in_fours(recipe) and recipe.prune and recipe.prune.neuron_multiple % 4:
        yield (
            f"prune.neuron_multiple is {recipe.prune.neuron_multiple}, expected a multiple of 4 "
            "because sparsify.pattern is 2:4"
        )


def pruning_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield what pruning cannot take from this student, and what it takes from objectives."""
    prune, student = recipe.prune, recipe.distill.student if recipe.distill else None
    if _in_fours(recipe) and prune and prune.hidden and prune.hidden_multiple % 4:
        yield (
            f"prune.hidden_multiple is {prune.hidden_multiple}, expected a multiple of 4 "
            "because sparsify.pattern is 2:4"
        )
    depth = student.depth if student else None
    if prune and depth is not None and 0 < depth <= prune.layers:
        yield (
            f"prune.layers is {prune.layers}, expected fewer because distill.student has "
            f"{depth} layers"
        )
    if student is not None:
        yield from layer_map_problems(recipe.learning, "distill.student", student.depth)
    if prune and (prune.heads or prune.speedup):
        yield from _lost_head_problems(recipe.learning)


def _in_fours(recipe: "Recipe") -> bool:
    return recipe.sparsify is not None and recipe.sparsify.pattern == "2:4"


def _lost_head_problems(sections: dict[str, "LearningConfig"]) -> Iterator[str]:
    for name, section in sections.items():
        if name in ("distill", "prune.scores"):  # come before the heads go
            continue
        for objective in ("attention", "relations"):
            if section.objectives and objective in section.objectives.chosen:
                yield (
                    f"{name}.objectives.{objective} is a section, expected none (null) where heads "
                    "are pruned, because how many each layer keeps is not known before; use hidden"
                )

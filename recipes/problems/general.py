"""What a student that starts on plain text needs, and what a layer map may say."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pocketbert.compress.config import GENERAL, GeneralConfig

if TYPE_CHECKING:
    from ..schema import LearningConfig, Recipe


def general_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield where the general checkpoint and the student that starts from it disagree."""
    general = recipe.general
    starts_there = recipe.distill is not None and recipe.distill.student.init == GENERAL
    if general is None:
        if starts_there:
            yield (
                f"distill.student.init is {GENERAL!r}, expected a section general that makes this "
                "checkpoint (or 'teacher', 'fresh' or a source)"
            )
        return
    if not starts_there:
        yield (
            "general is a section, expected none (null) unless distill.student.init is "
            f"{GENERAL!r}, which starts from it"
        )
    yield from layer_map_problems({"general": general}, "general.student", general.student.depth)
    layers = recipe.distill.student.layers if recipe.distill and starts_there else None
    needed = max(layers) + 1 if isinstance(layers, tuple) else layers or 0
    if needed > general.student.depth:
        yield (
            f"distill.student.layers is {_plain(layers)}, expected layers of general.student, "
            f"which has {general.student.depth}"
        )


def _plain(layers: int | tuple[int, ...] | None) -> object:
    return list(layers) if isinstance(layers, tuple) else layers


def layer_map_problems(
    sections: Mapping[str, "LearningConfig | GeneralConfig"], student: str, depth: int
) -> Iterator[str]:
    """Yield which maps of layers name more or fewer than a student has."""
    for name, section in sections.items():
        if section.objectives is None:
            continue
        for objective, config in section.objectives.chosen.items():
            layers = getattr(config, "layers", None)
            expected = depth - 1 if objective == "patient" else depth
            if isinstance(layers, tuple) and len(layers) != expected:
                yield (
                    f"{name}.objectives.{objective}.layers is {list(layers)}, expected {expected} "
                    f"teacher layers because {student} has {depth} layers"
                    f"{' and patient leaves out the last' if objective == 'patient' else ''}"
                )

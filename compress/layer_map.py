"""Which teacher layer a student layer learns from."""

from .config import LayerMap, OutputsWanted, StateKind
from .errors import ModelError


def layer_pairs(
    layers: LayerMap, student_layers: int, teacher_layers: int
) -> list[tuple[int, int]]:
    """Return which student layer learns from which teacher layer, both from 0.

    Args:
        layers: The recipe's map.
        student_layers: How many the student has.
        teacher_layers: How many the teacher has.

    Raises:
        ModelError: The map does not fit these depths.
    """
    chosen = mapped_layers(layers, student_layers, teacher_layers)
    if layers == "last":
        return [(student_layers - 1, chosen[0])]
    if len(chosen) != student_layers:
        raise ModelError(
            f"the layer map {chosen} names {len(chosen)} teacher layers, expected one for each of "
            f"{student_layers} student layers"
        )
    return list(enumerate(chosen))


def mapped_layers(layers: LayerMap, student_layers: int, teacher_layers: int) -> list[int]:
    """Return the teacher layers, from 0, that a map names.

    Raises:
        ModelError: The teacher has no such layer or fewer than the student.
    """
    if layers == "last":
        return [teacher_layers - 1]
    if layers == "uniform":
        try:
            return uniform_layers(student_layers, teacher_layers)
        except ValueError as error:
            raise ModelError(f"the student learns layer by layer: {error}") from error
    if max(layers) >= teacher_layers:
        raise ModelError(
            f"the layer map {list(layers)} names teacher layer {max(layers)}, expected layers 0 to "
            f"{teacher_layers - 1}"
        )
    return list(layers)


def states_at(wanted: OutputsWanted, teacher_layers: int) -> set[tuple[StateKind, int]]:
    """Return the kinds of states that are wanted with their layers in the teacher.

    Raises:
        ModelError: The teacher has no such layer or fewer than the student.
    """
    depth = wanted.student_layers or teacher_layers
    return {
        (kind, layer)
        for kind, layers in wanted.states
        for layer in mapped_layers(layers, depth, teacher_layers)
    }


def uniform_layers(student_layers: int, teacher_layers: int) -> list[int]:
    """Return for each student layer the teacher layer, from 0, whose output it stands for.

    Spread evenly and ending at the last, the map that won TinyBERT's comparison (Jiao et al. 2020,
    table 5).

    Raises:
        ValueError: The student is deeper than the teacher.
    """
    if student_layers > teacher_layers:
        raise ValueError(
            f"{student_layers} layers are asked of a model that has {teacher_layers}, expected at "
            "most as many"
        )
    return [
        round((number + 1) * teacher_layers / student_layers) - 1
        for number in range(student_layers)
    ]

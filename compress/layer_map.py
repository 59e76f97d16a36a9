"""Which teacher layer a student layer learns from."""


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

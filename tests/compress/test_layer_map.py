import pytest

from pocketbert.compress.layer_map import uniform_layers


@pytest.mark.parametrize(
    ("student", "teacher", "layers"),
    [(3, 6, [1, 3, 5]), (4, 12, [2, 5, 8, 11]), (6, 6, [0, 1, 2, 3, 4, 5]), (1, 6, [5])],
)
def test_layers_are_spread_evenly_and_end_at_the_last(student, teacher, layers):
    assert uniform_layers(student, teacher) == layers


def test_a_student_deeper_than_its_teacher_is_refused():
    with pytest.raises(ValueError, match="7 layers are asked of a model that has 6"):
        uniform_layers(7, 6)

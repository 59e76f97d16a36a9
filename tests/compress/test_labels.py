"""From label values to class numbers."""

import pytest

from pocketbert.compress.errors import DataError
from pocketbert.compress.labels import class_numbers
from pocketbert.compress.tables import Row

LABELS = ("negative", "positive")


def numbers(values, labels=LABELS, threshold=None):
    rows = [Row("text", value, line) for line, value in enumerate(values, start=2)]
    return class_numbers(rows, labels, threshold, "a.csv")


def complaint(values, labels=LABELS, threshold=None):
    with pytest.raises(DataError) as caught:
        numbers(values, labels, threshold)
    return str(caught.value)


def test_names_and_class_numbers():
    assert numbers(["positive", "negative", " positive "]) == [1, 0, 1]
    assert numbers([1, 0, "1"]) == [1, 0, 1]


def test_names_that_are_numbers_are_names():
    assert numbers([5, 1, "2"], labels=("1", "2", "5")) == [2, 0, 1]
    assert "row 2: the label is 0" in complaint([0], labels=("1", "2"))


def test_unknown_label_names_row_and_nearest():
    message = complaint(["positive", "postive", "postive"])
    assert "a.csv row 3: the label is 'postive'" in message
    assert "expected one of 'negative', 'positive' (did you mean 'positive'?)" in message


def test_more_labels_than_the_task_are_all_listed_from_the_first_row():
    message = complaint(["mixed", "positive", "neutral", "mixed"])
    assert "row 2: the label is 'mixed'" in message
    assert "it also has 'neutral'" in message


@pytest.mark.parametrize("value", [2, -1, "7"])
def test_class_number_out_of_range(value):
    message = complaint([0, value])
    assert f"row 3: the label is {value!r}" in message
    assert "a class number from 0 to 1" in message


@pytest.mark.parametrize("value", [None, True, 1.0, "", []])
def test_what_is_neither_name_nor_class_number(value):
    assert f"row 2: the label is {value!r}" in complaint([value])


def test_threshold():
    assert numbers(["-0.1", "2", 0.1, -3, "0"], threshold=0.0) == [0, 1, 1, 0, 0]


def test_threshold_complaints():
    assert "row 3: the label is 'good'" in complaint(["1", "good"], threshold=0.0)
    assert "row 2: the label is None" in complaint([None], threshold=0.0)
    assert "row 2: the label is 'nan'" in complaint(["nan"], threshold=0.0)
    assert "two entries in task.labels" in complaint(["1"], labels=("a", "b", "c"), threshold=0.0)

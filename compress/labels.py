"""From a label as the table has it to a class number."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import DataError
from .tables import Row, did_you_mean


def class_numbers(
    rows: Sequence[Row], labels: tuple[str, ...], threshold: float | None, place: str | Path
) -> list[int]:
    """Return the class number of every row.

    A label is a name in `labels`, or, where no name is itself a number, the class number. With a
    threshold it is a number up to it (class 0) or above it (class 1).

    Args:
        rows: The examples.
        labels: Label names in class order.
        threshold: Divides a numeric label column into two classes.
        place: File name for complaints.

    Raises:
        DataError: A label is none of these; names the row and lists all unknown labels.
    """
    if threshold is None:
        return _by_name(rows, labels, place)
    if len(labels) != 2:
        raise DataError(
            f"data.label_threshold makes two classes, expected two entries in task.labels, found "
            f"{len(labels)}; leave out the threshold or correct the labels"
        )
    return [_side(row, threshold, place) for row in rows]


def _by_name(rows: Sequence[Row], labels: tuple[str, ...], place: str | Path) -> list[int]:
    numbers = {name: number for number, name in enumerate(labels)}
    if not any(_is_integer(name) for name in labels):
        numbers |= {str(number): number for number in range(len(labels))}
    unknown = {str(row.label): row for row in reversed(rows) if _key(row.label) not in numbers}
    if unknown:
        raise _unknown_labels(sorted(unknown.values(), key=lambda row: row.number), labels, place)
    return [numbers[_key(row.label)] for row in rows]


def _key(label: Any) -> str:
    # A JSON true or null is not taken for a class number or a name.
    return "" if label is None or isinstance(label, bool) else str(label).strip()


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _unknown_labels(unknown: list[Row], labels: tuple[str, ...], place: str | Path) -> DataError:
    first = unknown[0]
    name = str(first.label)
    expected = f"one of {', '.join(map(repr, labels))}"
    if _is_integer(name):
        expected += f" or a class number from 0 to {len(labels) - 1}"
    others = ", ".join(repr(row.label) for row in unknown[1:20])
    also = f"; it also has {others}{', ...' if len(unknown) > 20 else ''}" if others else ""
    return DataError(
        f"{place} row {first.number}: the label is {first.label!r}, expected {expected}"
        f"{did_you_mean(name, list(labels))}{also}; correct the data, or the recipe's task.labels"
    )


def _side(row: Row, threshold: float, place: str | Path) -> int:
    try:
        value = float(row.label)
    except (TypeError, ValueError):
        value = math.nan
    if math.isnan(value):
        raise DataError(
            f"{place} row {row.number}: the label is {row.label!r}, expected a number to compare "
            f"with data.label_threshold; check data.columns.label"
        )
    return int(value > threshold)

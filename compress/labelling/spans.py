"""Labelled parts of a text, such as the names in it."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..tables import Row, did_you_mean
from ..word_tags import label_names, tag_names
from .labelling import Labelling

FORM = '{"start": 0, "end": 4, "label": "..."}'


class Spans(Labelling):
    """Every text has any number of spans that do not overlap, each with one label."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """A logit for each tag that a word may have."""
        return tag_names(labels)

    def given(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels of the tags."""
        return label_names(names)

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return each text's spans in their order, with the numbers of their labels."""
        return [_spans(row, labels, place) for row in rows]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count the spans of each label."""
        counts = Counter(span["label"] for spans in values for span in spans)
        return {label: counts[number] for number, label in enumerate(labels)}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for some spans in every split, and for all labels in training."""
        counts = self.counts(values, labels)
        missing = [label for label in labels if not counts[label]]
        if len(missing) == len(labels) or (split == "train" and missing):
            raise DataError(
                f"the {split} split has no span of {', '.join(map(repr, missing))}, expected some; "
                "correct task.labels, check data.columns.label, or hold out a larger fraction"
            )


def _spans(row: Row, labels: tuple[str, ...], place: str | Path) -> list[dict[str, int]]:
    where = f"{place} row {row.number}"
    if not isinstance(row.label, list):
        raise DataError(
            f"{where}: the label is {row.label!r}, expected a list of spans such as {FORM}; check "
            "data.columns.label and data.format"
        )
    spans = sorted((_span(each, row, labels, where) for each in row.label), key=_start)
    for left, right in pairwise(spans):
        if right["start"] < left["end"]:
            raise DataError(
                f"{where}: the spans {left['start']}-{left['end']} and {right['start']}-"
                f"{right['end']} overlap, expected each character in one span at most; leave one "
                "out"
            )
    return spans


def _span(given: Any, row: Row, labels: tuple[str, ...], where: str) -> dict[str, int]:
    keys = ("start", "end", "label")
    if not isinstance(given, dict) or not all(key in given for key in keys):
        raise DataError(f"{where}: a span is {given!r}, expected {FORM}; check data.columns.label")
    start, end, label = (given[key] for key in keys)
    whole = all(type(number) is int for number in (start, end))
    if not whole or not 0 <= start < end <= len(row.text):
        raise DataError(
            f"{where}: a span goes from {start!r} to {end!r}, expected characters of the text, "
            f"which has {len(row.text)}, and no empty span; offsets count from 0 and `end` is "
            "behind the last character"
        )
    if label not in labels:
        raise DataError(
            f"{where}: the label of a span is {label!r}, expected one of "
            f"{', '.join(map(repr, labels))}{did_you_mean(str(label), list(labels))}; correct "
            "the data, or the recipe's task.labels"
        )
    return {"start": start, "end": end, "label": labels.index(label)}


def _start(span: dict[str, int]) -> int:
    return span["start"]

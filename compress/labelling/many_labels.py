"""Any number of the labels, as a 0 or 1 for each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..tables import Row, did_you_mean
from .labelling import UNLABELLED, Labelling

SEPARATOR = ","


class ManyLabels(Labelling):
    """Every text has some of the labels, all, or none."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """A logit for each label."""
        return labels

    def unlabelled(self, labels: tuple[str, ...]) -> Any:
        """The same number for every label."""
        return [UNLABELLED] * len(labels)

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return a 0 or 1 for every label; names stand in a list, or in a text with commas."""
        return [_hot(row, labels, place) for row in rows]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count the examples that have each label."""
        return {label: sum(value[n] for value in values) for n, label in enumerate(labels)}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask in every split for each label on some texts but not on all."""
        counts = self.counts(values, labels)
        useless = [label for label in labels if counts[label] in (0, len(values))]
        if useless:
            raise DataError(
                f"the {split} split has {useless[0]!r} on {counts[useless[0]]} of {len(values)} "
                "texts, expected every label on some texts and not on all; correct task.labels, or "
                "hold out a larger fraction"
            )


def _hot(row: Row, labels: tuple[str, ...], place: str | Path) -> list[int]:
    names = _names(row, place)
    for name in names:
        if name not in labels:
            raise DataError(
                f"{place} row {row.number}: the labels are {row.label!r}, expected some of "
                f"{', '.join(map(repr, labels))}{did_you_mean(name, list(labels))}; correct "
                "the data, or the recipe's task.labels"
            )
    return [int(label in names) for label in labels]


def _names(row: Row, place: str | Path) -> list[str]:
    if isinstance(row.label, list | tuple) and all(isinstance(name, str) for name in row.label):
        return list(row.label)
    if isinstance(row.label, str):
        return [name.strip() for name in row.label.split(SEPARATOR) if name.strip()]
    raise DataError(
        f"{place} row {row.number}: the labels are {row.label!r}, expected a list of names, or "
        "names in one text with commas between them; check data.columns.label"
    )

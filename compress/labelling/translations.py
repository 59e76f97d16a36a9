"""The same text in another language."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..tables import Row
from .labelling import Example, Labelling


class Translations(Labelling):
    """Every text has one translation."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """There are none: what is written has no fixed choices."""
        return ()

    def unlabelled(self, labels: tuple[str, ...]) -> Any:
        """Return an empty text."""
        return ""

    def examples(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Example]:
        """Keep all texts with one translation in one split; those of one text are there anyway."""
        found = super().examples(rows, labels, threshold, place)
        return [replace(one, together=one.label) for one in found]

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return translations."""
        return [_translation(row, place) for row in rows]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count the characters."""
        return {"characters": sum(map(len, values))}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for two different translations, without which there is nothing to learn."""
        if len(set(values)) == 1:
            raise DataError(
                f"the {split} split has the translation {values[0][:50]!r} only, expected "
                "different ones; check data.columns.label, or hold out a larger fraction"
            )


def _translation(row: Row, place: str | Path) -> str:
    if not isinstance(row.label, str) or not row.label.strip():
        raise DataError(
            f"{place} row {row.number}: the label is {row.label!r}, expected the text in the other "
            "language; check data.columns.label"
        )
    return row.label

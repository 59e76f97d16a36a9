"""A number, such as how much alike two texts are."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..tables import Row
from .labelling import UNLABELLED, Labelling


class Number(Labelling):
    """Every text has a number."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """One logit, which is the number itself."""
        return ("value",)

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return numbers."""
        return [_number(row, place) for row in rows]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """There is nothing to count."""
        return {}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for two different numbers, without which nothing correlates."""
        if len(set(values)) == 1:
            raise DataError(
                f"the {split} split has the number {values[0]:g} only, expected different ones; "
                "check data.columns.label, or hold out a larger fraction"
            )


def _number(row: Row, place: str | Path) -> float:
    try:
        # A JSON true or null is no number.
        value = math.nan if row.label is None or isinstance(row.label, bool) else float(row.label)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{place} row {row.number}: the label is {row.label!r}, expected a number; check "
            "data.columns.label"
        )
    if value == UNLABELLED:
        raise DataError(
            f"{place} row {row.number}: the label is {UNLABELLED}, which stands for no label, "
            "expected another number; scale the labels"
        )
    return value

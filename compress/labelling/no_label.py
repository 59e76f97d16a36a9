"""Plain texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..tables import Row
from .labelling import UNLABELLED, Labelling


class NoLabel(Labelling):
    """Every text is as good as any other."""

    needs_column = False

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """There are none."""
        return ()

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return the same for every row."""
        return [UNLABELLED] * len(rows)

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """There is nothing to count."""
        return {}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Any texts will do."""

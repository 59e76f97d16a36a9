"""One of the labels, as its number."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..labels import class_numbers
from ..tables import Row
from .labelling import Labelling


class OneLabel(Labelling):
    """Every text has one of the labels."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """A logit for each label."""
        return labels

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return class numbers."""
        return class_numbers(rows, labels, threshold, place)

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count the examples of each label."""
        counts = Counter(values)
        return {label: counts[number] for number, label in enumerate(labels)}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for two labels in every split, and for all of them in training."""
        counts = self.counts(values, labels)
        present = [label for label in labels if counts[label]]
        if len(present) == 1:
            raise DataError(
                f"the {split} split has examples of {present[0]!r} only, expected two classes or "
                "more; check data.columns.label, or hold out a larger fraction"
            )
        missing = [label for label in labels if not counts[label]]
        if split == "train" and missing:
            raise DataError(
                f"the train split has no example of {', '.join(map(repr, missing))}, expected "
                "some of every label; correct task.labels or add examples"
            )

"""What every form of label is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..tables import Row
from ..texts import Text

UNLABELLED = -100  # what torch's cross-entropy leaves out


@dataclass(frozen=True)
class Example:
    """What the data stage writes.

    Attributes:
        text: What a model reads.
        label: As JSON can say it.
        together: Decides the split; examples with the same stay in one.
    """

    text: Text
    label: Any
    together: Text


class Labelling(ABC):
    """Turns a table's labels into what the data stage writes for each example, and looks at them.

    Attributes:
        needs_column: A table has a column of labels; else the text's is read in its place.
    """

    needs_column = True

    @abstractmethod
    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Name the logits of a model, given the labels that the recipe names."""

    def given(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels that the recipe names, given what the logits are called."""
        return names

    def unlabelled(self, labels: tuple[str, ...]) -> Any:
        """Return what stands for the label of a text that has none."""
        return UNLABELLED

    def examples(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Example]:
        """Return what rows are to the models; arguments and errors are those of `read`."""
        values = self.read(rows, labels, threshold, place)
        pairs = zip(rows, values, strict=True)
        return [Example(row.example, value, row.example) for row, value in pairs]

    @abstractmethod
    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return every row's label as JSON can say it.

        Args:
            rows: The examples.
            labels: As the recipe names them.
            threshold: Divides a numeric label column into two classes.
            place: File name for complaints.

        Raises:
            DataError: A label is not as the recipe says; names the row.
        """

    @abstractmethod
    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count how often a split has each label."""

    @abstractmethod
    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Refuse a split from which nothing can be learned or measured.

        Raises:
            DataError: With what is missing.
        """

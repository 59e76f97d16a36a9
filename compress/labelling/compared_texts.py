"""Two texts of a row that are read apart and whose vectors are compared.

Each becomes an example of its own. Its label is two numbers: which examples belong together, and
what is known of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..split import normalise
from ..tables import Row
from .labelling import UNLABELLED, Example, Labelling
from .no_label import NoLabel
from .number import Number

QUERY, DOCUMENT = 0, 1


class ComparedTexts(Labelling):
    """What both kinds share: vectors, whose numbers have no names."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The numbers of a vector have none."""
        return ()

    def unlabelled(self, labels: tuple[str, ...]) -> Any:
        """A text that is compared with no other."""
        return [UNLABELLED, UNLABELLED]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """There is nothing to count."""
        return {}


class SimilarTexts(ComparedTexts, Number):
    """How alike both are, on any scale: both examples have the row's number and its score."""

    def examples(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Example]:
        """Return both texts of every row; they stay in one split."""
        scores = self.read(rows, labels, threshold, place)
        return [
            Example(text, [number, score], row.example)
            for number, (row, score) in enumerate(zip(rows, scores, strict=True))
            for text in two_texts(row, place)
        ]

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for two different scores."""
        super().check(split, [score for _, score in values], labels)


class MatchingTexts(ComparedTexts, NoLabel):
    """A query and the document that it should find.

    A document that answers several queries is one example. Label: the document's number, and 0 for
    a query, 1 for the document.
    """

    def examples(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Example]:
        """Return every query, and every document once; a document's queries stay in its split."""
        found: list[Example] = []
        numbers: dict[str, int] = {}
        for row in rows:
            query, document = two_texts(row, place)
            key = normalise(document)
            if key not in numbers:
                numbers[key] = len(numbers)
                found.append(Example(document, [numbers[key], DOCUMENT], key))
            found.append(Example(query, [numbers[key], QUERY], key))
        return found

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for two documents in every split, between which a query can choose."""
        documents = sum(role == DOCUMENT for _, role in values)
        if documents < 2:
            raise DataError(
                f"the {split} split has {documents} documents, expected two or more; add rows, or "
                "hold out a larger fraction"
            )


def two_texts(row: Row, place: str | Path) -> tuple[str, str]:
    """Return both texts of a row.

    Raises:
        DataError: It was read without a column for the second.
    """
    if row.pair is None:
        raise DataError(
            f"{place} is read without a column for the second text, expected one because texts are "
            "compared; set data.columns.pair (in a command: --pair-column)"
        )
    return row.text, row.pair

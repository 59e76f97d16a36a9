"""Answers to a question, as characters of its context."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..tables import Row
from .labelling import Example, Labelling

FORM = '{"text": ["..."], "answer_start": [0]}'
NAMES = ("start", "end")  # of the logits of every token


class Answers(Labelling):
    """Any number of right answers a question; none where its context does not tell."""

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Name two logits: that an answer starts and that it ends at a token."""
        return NAMES

    def given(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """There are none."""
        return ()

    def examples(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Example]:
        """Keep all questions on a context in one split."""
        found = super().examples(rows, labels, threshold, place)
        return [replace(one, together=one.text[1]) for one in found]

    def read(
        self,
        rows: Sequence[Row],
        labels: tuple[str, ...],
        threshold: float | None,
        place: str | Path,
    ) -> list[Any]:
        """Return each question's answers as spans of its context."""
        return [_spans(row, f"{place} row {row.number}") for row in rows]

    def counts(self, values: Sequence[Any], labels: tuple[str, ...]) -> dict[str, int]:
        """Count questions with and without an answer."""
        answered = sum(bool(spans) for spans in values)
        return {"answered": answered, "impossible": len(values) - answered}

    def check(self, split: str, values: Sequence[Any], labels: tuple[str, ...]) -> None:
        """Ask for a question with an answer in every split."""
        if not self.counts(values, labels)["answered"]:
            raise DataError(
                f"the {split} split has no question with an answer, expected some; check the data, "
                "or hold out a larger fraction"
            )


def _spans(row: Row, where: str) -> list[dict[str, int]]:
    if row.pair is None:
        raise DataError(
            f"{where}: the question {row.text[:50]!r} has no context, expected the text that it is "
            "about; set data.columns.pair, or data.format to squad"
        )
    if row.label is None:
        raise DataError(
            f"{where}: the question {row.text[:50]!r} has no answers, expected some, or "
            '"is_impossible": true; a file without answers can be predicted, not learned from'
        )
    texts, starts = (
        list(row.label.get(key, ())) if isinstance(row.label, dict) else None
        for key in ("text", "answer_start")
    )
    if texts is None or starts is None or len(texts) != len(starts):
        raise DataError(
            f"{where}: the label is {row.label!r}, expected answers and where they start: {FORM}; "
            "check data.columns.label and data.format"
        )
    return [_span(*one, row.pair, where) for one in zip(texts, starts, strict=True)]


def _span(text: Any, start: Any, context: str, where: str) -> dict[str, int]:
    fits = isinstance(text, str) and type(start) is int and start >= 0
    if not fits or not text or context[start : start + len(text)] != text:
        found = context[start : start + len(text)] if fits else ""
        raise DataError(
            f"{where}: the context has {found!r} at answer_start {start!r}, expected the answer "
            f"{text!r}; offsets count characters from 0"
        )
    return {"start": start, "end": start + len(text), "label": 0}

"""Reading words with tags, one a line, as the CoNLL shared tasks write them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DataError

OUTSIDE = "O"
DOCUMENT = "-DOCSTART-"


def read_sentences(path: Path, text: str) -> Iterator[tuple[str, list[dict[str, Any]], int]]:
    """Yield each sentence's text, its entities as spans, and the line on which it begins.

    The first column is the word and the last its tag: `O`, `B-PER`, `I-PER`, ... Blank lines stand
    between sentences. Words are joined by spaces.

    Args:
        path: For complaints.
        text: Content of the file.

    Raises:
        DataError: A line has no tag, or an unknown one; names the line.
    """
    words: list[tuple[str, str]] = []
    first = 1
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        cells = line.split()
        if cells and cells[0] != DOCUMENT:
            if not words:
                first = number
            words.append((cells[0], _tag(path, number, line, cells)))
        elif words:
            yield (*_spans(words), first)
            words = []


def _tag(path: Path, number: int, line: str, cells: list[str]) -> str:
    tag = cells[-1]
    if len(cells) < 2 or not (tag == OUTSIDE or (tag[:2] in ("B-", "I-") and len(tag) > 2)):
        raise DataError(
            f"{path} row {number} is {line.strip()!r}, expected a word and its tag, which is O or "
            "begins with B- or I-; correct the line or set data.format"
        )
    return tag


def _spans(words: list[tuple[str, str]]) -> tuple[str, list[dict[str, Any]]]:
    text = ""
    spans: list[dict[str, Any]] = []
    before = OUTSIDE
    for word, tag in words:
        text += " " if text else ""
        goes_on = tag[:2] == "I-" and before[2:] == tag[2:]
        if goes_on:
            spans[-1]["end"] = len(text) + len(word)
        elif tag != OUTSIDE:
            spans.append({"start": len(text), "end": len(text) + len(word), "label": tag[2:]})
        text += word
        before = tag
    return text, spans

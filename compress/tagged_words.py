"""Reading texts whose words stand with their tags, `word/tag word/tag`, one paragraph a line.

So the corpus of the People's Daily is written (PFR; Yu et al. 2003), and with spaces left out where
words are joined it is for languages that write none.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from .errors import DataError

SENTENCE_ENDS = ("。", "！", "？")


def read_tagged(
    path: Path, text: str, labels: Collection[str]
) -> Iterator[tuple[str, list[dict[str, Any]], int]]:
    """Yield each sentence's text, its entities as spans, and the line in which it stands.

    Words are joined without spaces, and neighbours with the same tag are one entity: a family name
    and a given name have a word each.

    Args:
        path: For complaints.
        text: Content of the file.
        labels: Tags that become labels; words with any other are outside of entities.

    Raises:
        DataError: A word has no tag; names the line.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        sentence: list[tuple[str, str]] = []
        for cell in line.split():
            word, slash, tag = cell.rpartition("/")
            if not (word and slash and tag):
                raise DataError(
                    f"{path} row {number} has {cell!r}, expected words with their tags behind a "
                    "slash, and spaces between them; correct the line or set data.format"
                )
            sentence.append((word, tag))
            if word in SENTENCE_ENDS:
                yield (*_spans(sentence, labels), number)
                sentence = []
        if sentence:
            yield (*_spans(sentence, labels), number)


def _spans(
    words: list[tuple[str, str]], labels: Collection[str]
) -> tuple[str, list[dict[str, Any]]]:
    text, before = "", ""
    spans: list[dict[str, Any]] = []
    for word, tag in words:
        end = len(text) + len(word)
        if tag in labels and tag == before:
            spans[-1]["end"] = end
        elif tag in labels:
            spans.append({"start": len(text), "end": end, "label": tag})
        text, before = text + word, tag
    return text, spans

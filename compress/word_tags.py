"""Entities as tags of words, and back: B begins one, I goes on with it, O is outside of all.

Tags are numbers: O is 0, label k has B at 2k + 1 and I at 2k + 2. A word is what the tokenizer's
pre-tokenizer makes of a text, so that training and device agree without a word list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OUTSIDE = 0


@dataclass(frozen=True)
class Span:
    """Characters of a text that have a label.

    Attributes:
        start: First character.
        end: Behind the last one.
        label: Number of the label.
    """

    start: int
    end: int
    label: int


@dataclass(frozen=True)
class Word:
    """A word of a text that was cut into tokens.

    Attributes:
        position: Of its first token in the model's input.
        start: First character.
        end: Behind the last one.
        window: Which of the text's inputs that is, where it is read in several.
    """

    position: int
    start: int
    end: int
    window: int = 0


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Name the tags of labels: `O`, `B-PER`, `I-PER`, ..."""
    return ("O", *(f"{part}-{label}" for label in labels for part in "BI"))


def label_names(tags: Sequence[str]) -> tuple[str, ...]:
    """Name the labels of tags; the inverse of `tag_names`."""
    return tuple(tag.removeprefix("B-") for tag in tags[1::2])


def words_of(encoding: Any) -> list[Word]:
    """Return the words of a `tokenizers.Encoding`, as far as it was not cut off."""
    words: list[Word] = []
    last = None
    for position, (number, (start, end)) in enumerate(
        zip(encoding.word_ids, encoding.offsets, strict=True)
    ):
        if number is not None and number == last:
            words[-1] = Word(words[-1].position, words[-1].start, end)
        elif number is not None:
            words.append(Word(position, start, end))
        last = number
    return words


def tags_of(words: Sequence[Word], spans: Sequence[Span]) -> list[int]:
    """Tag each word with the span in which it begins."""
    tags: list[int] = []
    before: Span | None = None
    for word in words:
        inside = next((span for span in spans if span.start <= word.start < span.end), None)
        if inside is None:
            tags.append(OUTSIDE)
        else:
            tags.append(2 * inside.label + (2 if inside is before else 1))
        before = inside
    return tags


def entities(tags: Sequence[int]) -> list[Span]:
    """Return what tags say, as spans of words.

    As seqeval and conlleval read them: an I that goes on with nothing begins an entity.
    """
    found: list[Span] = []
    for number, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        label, goes_on = (tag - 1) // 2, tag % 2 == 0
        if goes_on and found and found[-1].end == number and found[-1].label == label:
            found[-1] = Span(found[-1].start, number + 1, label)
        else:
            found.append(Span(number, number + 1, label))
    return found

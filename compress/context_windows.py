"""A question and its context as a model reads them: windows of the context, the question in each.

Devlin et al. 2019 (section 4.2) read a long context so, with a stride. Training and device cut by
this file alone, so that both see the same windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DataError

MAX_QUESTION = 0.5  # of the longest input; the rest of a longer question is not read


@dataclass(frozen=True)
class Window:
    """A part of the context behind its question.

    Attributes:
        ids: Token ids, special tokens included.
        type_ids: Their types.
        position: Where the first token of the context stands.
        first: Which token of the context that is.
        tokens: How many tokens of the context there are.
    """

    ids: list[int]
    type_ids: list[int]
    position: int
    first: int
    tokens: int

    def room_around(self, token: int) -> int:
        """Return how many tokens a token of the context has on its poorer side; -1 outside."""
        return max(-1, min(token - self.first, self.first + self.tokens - 1 - token))


def windows_of(encoding: Any, max_length: int, overlap: int) -> list[Window]:
    """Cut what was encoded as a whole.

    Args:
        encoding: A `tokenizers.Encoding` of the pair (question, context), not truncated.
        max_length: Longest input in tokens.
        overlap: Tokens of the context that a window shares with the one before it.

    Raises:
        DataError: There is no room for the context.
    """
    begin, end = _context(encoding.sequence_ids)
    before = _question_kept(encoding.sequence_ids[:begin], int(max_length * MAX_QUESTION))
    behind = range(end, len(encoding.ids))
    room = max_length - len(before) - len(behind)
    step = room - min(overlap, room // 2)  # a long question leaves less to share
    if step < 1:
        raise DataError(
            f"the longest input is {max_length} tokens, of which question and special tokens take "
            f"{max_length - room}, expected room for the context; raise task.max_length"
        )
    windows = []
    for first in range(begin, max(end - min(overlap, room // 2), begin + 1), step):
        part = range(first, min(first + room, end))
        places = [*before, *part, *behind]
        windows.append(
            Window(
                [encoding.ids[place] for place in places],
                [encoding.type_ids[place] for place in places],
                len(before),
                first - begin,
                len(part),
            )
        )
    return windows


def context_offsets(encoding: Any) -> list[tuple[int, int]]:
    """Return the characters of each token of the context, of the same encoding."""
    begin, end = _context(encoding.sequence_ids)
    return [tuple(offset) for offset in encoding.offsets[begin:end]]


def _context(sequence_ids: Sequence[int | None]) -> tuple[int, int]:
    places = [place for place, number in enumerate(sequence_ids) if number == 1]
    if places:
        return places[0], places[-1] + 1
    return len(sequence_ids) - 1, len(sequence_ids) - 1  # before the last special token


def _question_kept(sequence_ids: Sequence[int | None], most: int) -> list[int]:
    question = [place for place, number in enumerate(sequence_ids) if number == 0]
    cut = set(question[most:])
    return [place for place in range(len(sequence_ids)) if place not in cut]

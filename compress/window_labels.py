"""Where an answer starts and ends, as a mark on every token of a window.

What is no part of the answer's choice has -100: the question and all special tokens but the first,
which stands for "no answer here". Other tokens have 0, or START, END or both.
"""

from collections.abc import Sequence

from .context_windows import Window
from .labelling import UNLABELLED
from .word_tags import Span

START = 1
END = 2


def window_labels(
    window: Window, offsets: Sequence[tuple[int, int]], answers: Sequence[Span]
) -> list[int]:
    """Mark a window; an answer that it does not hold as a whole is none in it.

    Args:
        window: The tokens.
        offsets: Characters of each token of the context.
        answers: The right ones, of which the first is learned.
    """
    marks = [UNLABELLED] * len(window.ids)
    here = slice(window.position, window.position + window.tokens)
    marks[here] = [0] * window.tokens
    marks[0] = 0
    inside = _tokens(offsets, answers[0]) if answers else []
    held = inside and all(window.room_around(token) >= 0 for token in (inside[0], inside[-1]))
    first, last = (
        (window.position + token - window.first for token in (inside[0], inside[-1]))
        if held
        else (0, 0)
    )
    marks[first] |= START
    marks[last] |= END
    return marks


def _tokens(offsets: Sequence[tuple[int, int]], answer: Span) -> list[int]:
    return [
        token
        for token, (start, end) in enumerate(offsets)
        if start < answer.end and end > answer.start
    ]

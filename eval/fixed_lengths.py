"""Texts of a given number of tokens, made of words of given texts."""

from collections.abc import Sequence
from itertools import cycle

from pocketbert.compress.errors import UserError
from pocketbert.deploy.tokenizer import Tokenizer


def texts_of_length(
    tokenizer: Tokenizer, texts: Sequence[str], length: int, count: int
) -> list[str]:
    """Make texts that have exactly `length` tokens, special ones included.

    Words that would make a text too long are passed over.

    Args:
        tokenizer: Of the bundle.
        texts: Where words come from.
        length: Tokens of each text.
        count: How many texts.

    Raises:
        UserError: The model takes no such length, or no words add up to it.
    """
    words = [word for text in texts for word in text.split()]
    shortest = _length(tokenizer, "")
    if not shortest <= length <= tokenizer.max_length or not words:
        raise UserError(
            f"a length of {length} tokens is asked for, expected {shortest} to "
            f"{tokenizer.max_length} for this bundle; give other --lengths"
        )
    starts = [number * len(words) // count for number in range(count)]  # other words in each
    return [_fill(tokenizer, words[start:] + words[:start], length) for start in starts]


def _fill(tokenizer: Tokenizer, words: Sequence[str], length: int) -> str:
    text, passed_over = "", 0
    for word in cycle(words):
        found = _length(tokenizer, text)
        if found == length:
            return text
        longer = f"{text} {word}".strip()
        if found < _length(tokenizer, longer) <= length:
            text, passed_over = longer, 0
        else:
            passed_over += 1
        if passed_over > len(words):
            raise UserError(
                f"no words add up to {length} tokens, expected some of one token; give other "
                "--texts"
            )
    raise AssertionError("cycle ends only for no words")


def _length(tokenizer: Tokenizer, text: str) -> int:
    return int(tokenizer.encode([text])["input_ids"].shape[1])

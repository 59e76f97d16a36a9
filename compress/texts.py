"""What a model reads as one example: a text, or two that are read together."""

from typing import Any, TypeAlias

Text: TypeAlias = str | tuple[str, str]


def parts(text: Text) -> tuple[str, ...]:
    """Return the one or two texts of an example."""
    return (text,) if isinstance(text, str) else text


def characters(text: Text) -> int:
    """Return how many characters an example has."""
    return sum(map(len, parts(text)))


def text_of(value: Any) -> Text:
    """Return an example as it was, given what JSON made of it: a pair is a list there."""
    return value if isinstance(value, str) else tuple(value)

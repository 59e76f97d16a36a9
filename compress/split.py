"""Which split a text falls into: decided by its normalised words, so duplicates stay together."""

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from .texts import Text, parts

Split = Literal["train", "validation", "test"]
T = TypeVar("T")


def choose_split(text: Text, *, validation: float, test: float) -> Split:
    """Return the split of a text; the same text always lands in the same one.

    A larger `validation` never moves a text out of the test split, so numbers stay comparable.

    Args:
        text: Raw text.
        validation: Fraction held out for choosing, 0..1.
        test: Fraction held out for the report, 0..1.
    """
    position = split_position(text)
    if position < test:
        return "test"
    if position < test + validation:
        return "validation"
    return "train"


def split_position(text: Text) -> float:
    """Return a number in [0, 1) that only the normalised text decides, evenly spread over texts."""
    digest = hashlib.sha256(normalise(text).encode("utf-8", "surrogatepass")).digest()
    # 53 bits are what a float holds exactly; more could round up to 1.0.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def drawn(examples: Sequence[T], most: int | None, text: Callable[[T], Text]) -> list[T]:
    """Return at most so many examples, in their order; their texts alone decide which.

    Args:
        examples: What is drawn from.
        most: How many; None returns them all.
        text: Gives the text of an example.
    """
    if most is None or len(examples) <= most:
        return list(examples)
    places = [split_position(text(example)) for example in examples]
    chosen = sorted(range(len(examples)), key=places.__getitem__)[:most]
    return [examples[row] for row in sorted(chosen)]


def normalise(text: Text) -> str:
    """Return what two texts share when they differ only in case, width of letters or spacing."""
    return "\n".join(_normalised(part) for part in parts(text))


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())

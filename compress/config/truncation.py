"""What is read of a text that is longer than the longest input."""

from dataclasses import dataclass
from typing import Final, Literal

from .checks import STRICT, check

Keep = Literal["head", "tail", "head+tail", "windows"]
CONTEXT: Final = "context"
Pooling = Literal["mean", "max"]


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """What is read of a text that is longer than the longest input.

    Attributes:
        keep: The `head`, the `tail`, one half of each (`head+tail`), or the whole text in
            `windows`, whose logits are pooled. Training reads the first window only: a label
            belongs to a text, not to a part of it. `context` is a question and its context, which
            is read in windows as well, each behind the question; all of them are learned from.
        window_overlap: Tokens that a window shares with the one before it.
        window_pooling: `mean` or `max` of each logit over the windows.
    """

    __pydantic_config__ = STRICT
    keep: Keep | Literal["context"] = "head"
    window_overlap: int = 0
    window_pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        check(
            self.window_overlap >= 0,
            f"window_overlap is {self.window_overlap} tokens, expected 0 or more",
        )


HEAD = Truncation()
HALVES = "head+tail"


def halves(max_length: int) -> tuple[int, int]:
    """Tokens of the beginning and of the end that `head+tail` keeps, special tokens included."""
    return max_length - max_length // 2, max_length // 2

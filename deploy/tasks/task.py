"""What every task is on a device."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from ..tokenizer import Row, Tokenizer


@dataclass(frozen=True)
class Reading:
    """A text as a model reads it whose words it answers.

    Attributes:
        rows: The inputs: one, or one for each window.
        words: What is answered, in the order of the text.
    """

    rows: list[Row]
    words: list[Word]


class Task(ABC):
    """Reads what a model says about texts.

    Args:
        labels: What the logits are called.
        thresholds: Logits from which on each label is given, where that is how labels are given;
            by default those of a probability of one half.

    Attributes:
        per_word: A model answers for every word, not for the text.
        named: Logits have names.
        generates: A model writes the answer token by token.
    """

    per_word = False
    named = True
    generates = False

    def __init__(self, labels: Sequence[str], thresholds: Sequence[float] = ()) -> None:
        self.labels = tuple(labels)
        self.thresholds = tuple(thresholds) or (0.0,) * len(self.labels)

    def read(self, tokenizer: Tokenizer, text: Text) -> Reading:
        """Return a text's inputs and its words, where the task is per word."""
        return Reading(tokenizer.windows(text), tokenizer.words(text))

    def gather(
        self, found: Sequence[NDArray[np.float32]], words: Sequence[Word]
    ) -> NDArray[np.float32]:
        """Choose the logits that are a text's, where the task is per word.

        Args:
            found: Of each of its inputs. Shape: (seq, labels).
            words: What is answered.

        Returns:
            Shape: (words, labels).
        """
        chosen = [found[word.window][word.position] for word in words]
        return np.array(chosen, dtype=np.float32).reshape(-1, len(self.labels))

    def weight(self, logits: NDArray[np.float32]) -> float:
        """Return the size of a text's largest logit, which differences are measured by."""
        return float(np.abs(logits).max(initial=0))

    def difference(self, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
        """Return the largest difference of a text's logits; infinite where one of both has none."""
        if ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
            return math.inf
        return float(np.nanmax(np.abs(ours - theirs), initial=0))

    def less_thresholds(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a text's logits such that 0 decides what its thresholds decide. Same shape."""
        return logits - np.array(self.thresholds, dtype=np.float32)

    def best_thresholds(
        self,
        logits: Sequence[NDArray[np.float32]],
        words: Sequence[Sequence[Word]],
        texts: Sequence[Text],
        labels: NDArray[Any],
    ) -> list[float]:
        """Choose the thresholds on texts whose answers are known; most tasks have none.

        The first three arguments are those of `answers`.

        Args:
            logits: Of each text.
            words: Of each text, where the task is per word.
            texts: What was read.
            labels: What is right. Shape: (texts, ...).
        """
        return []

    @abstractmethod
    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Any]:
        """Return a dataclass for each text.

        Args:
            logits: Of each text. Shape: (labels,), or (words, labels) of a task that is per word.
            words: Of each text, where the task is per word.
            texts: What was read, likewise.
        """

"""What every task is on a device."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word


class Task(ABC):
    """Reads what a model says about texts.

    Args:
        labels: What the logits are called.
        thresholds: Logits from which on each label is given, where that is how labels are given;
            by default those of a probability of one half.

    Attributes:
        per_word: A model answers for every word, not for the text.
        named: Logits have names.
    """

    per_word = False
    named = True

    def __init__(self, labels: Sequence[str], thresholds: Sequence[float] = ()) -> None:
        self.labels = tuple(labels)
        self.thresholds = tuple(thresholds) or (0.0,) * len(self.labels)

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

"""What every task is on a device."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Task(ABC):
    """Reads what a model says about texts.

    Args:
        labels: What the logits are called.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

    @abstractmethod
    def answers(self, logits: NDArray[np.float32]) -> Sequence[Any]:
        """Return a dataclass for each text.

        Args:
            logits: Shape: (texts, labels).
        """

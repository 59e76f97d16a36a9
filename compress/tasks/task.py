"""What every task is, and what every task is whose model answers with logits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import TeacherConfig
from ..fine_tuning import fine_tune


class Task(ABC):
    """How the full model learns a kind of task."""

    @abstractmethod
    def fine_tune(
        self, *, config: TeacherConfig, seed: int, data: Path, out: Path
    ) -> dict[str, Any]:
        """Train a checkpoint and write it to `out/model`; the arguments are the teacher stage's.

        Returns:
            Parameters, bytes, steps and how good it is on the validation split.
        """


class SupervisedTask(Task, ABC):
    """What logits say, how they are learned from labels or a teacher, and how they are judged.

    Below, `rows` are those of the logits that count, and what is compared with them: one a text,
    or one a word.

    Attributes:
        metric: Which the weights are kept by; higher is better.
        own_loss: The loss is another than that of transformers' model.
    """

    metric: str
    own_loss = False

    def fine_tune(
        self, *, config: TeacherConfig, seed: int, data: Path, out: Path
    ) -> dict[str, Any]:
        """Put a new head on a checkpoint and train both."""
        return fine_tune(self, config=config, seed=seed, data=data, out=out)

    def rows(self, values: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Choose the rows of a batch that count.

        Args:
            values: Logits of the student or the teacher. Shape: (batch, labels) or (batch, seq,
                labels).
            batch: Has the `labels`.

        Returns:
            Shape: (rows, labels).
        """
        return values

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss to the labels over what is labelled, 0 if nothing is.

        Args:
            logits: Shape: (batch, labels) or (batch, seq, labels).
            labels: The batch's.
        """

    @abstractmethod
    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """Return how far answers are from the teacher's, a mean over the rows.

        Args:
            rows: Shape: (rows, labels).
            teacher: Shape: (rows, labels).
            temperature: Softens both, where they are probabilities.
        """

    @abstractmethod
    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Return vectors whose expected outer product is the Fisher information of the answers.

        Args:
            rows: Logits. Shape: (rows, labels).
            signs: 1 or -1 at random. Shape: (rows, labels).
        """

    @abstractmethod
    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Return the metric.

        Args:
            logits: Of a whole split. Shape: (examples, labels) or (examples, seq, labels).
            labels: The split's.
        """

    def thresholds(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        """Return the logits from which on each label is given; most tasks have none.

        Args:
            logits: Of a whole split. Shape: (examples, labels).
            labels: The split's.
        """
        return ()

    @abstractmethod
    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Return the share of the rows that get the teacher's answer.

        Args:
            rows: Shape: (rows, labels).
            teacher: Shape: (rows, labels).
        """

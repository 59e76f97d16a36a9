"""What every objective is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from ..config import StateKind
from ..errors import ModelError
from ..states import ModelOutput, state_name
from ..teacher_outputs import TeacherOutputs


class Objective(nn.Module, ABC):
    """Compares what a student says about a batch with what the teacher said.

    Building one refuses a student and teacher that it cannot compare, before any training.

    Args:
        config: Its section of the recipe.
        student: Who learns.
        outputs: What the teacher said.

    Attributes:
        student_states: Names of the student's states that `forward` reads.
        teacher_states: Names of the teacher's states, each the counterpart of the student's at the
            same place.
    """

    student_states: tuple[str, ...] = ()
    teacher_states: tuple[str, ...] = ()

    def __init__(self, config: Any, student: PreTrainedModel, outputs: TeacherOutputs) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return a scalar to be made small.

        Args:
            output: The student's logits and states.
            batch: attention_mask (batch, seq), labels (batch,), teacher_logits (batch, labels) and
                each teacher state as `teacher_<name>` (batch, positions, width).
        """

    def compare(
        self, kinds: tuple[StateKind, ...], pairs: list[tuple[int, int]], outputs: TeacherOutputs
    ) -> None:
        """Name the states to compare: of every pair (student layer, teacher layer) these kinds.

        Raises:
            ModelError: The teacher's were not kept.
        """
        self.student_states = tuple(state_name(k, mine) for mine, _ in pairs for k in kinds)
        self.teacher_states = tuple(state_name(k, theirs) for _, theirs in pairs for k in kinds)
        for name in self.teacher_states:
            outputs.width(name)

    def state_pairs(
        self, output: ModelOutput, batch: Mapping[str, Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return each of the student's states with the teacher's."""
        return [
            (output.states[mine], batch[f"teacher_{theirs}"])
            for mine, theirs in zip(self.student_states, self.teacher_states, strict=True)
        ]


def check_answers(student: PreTrainedModel, outputs: TeacherOutputs) -> None:
    """Refuse a teacher that gives another number of logits than the student.

    Raises:
        ModelError: With both numbers.
    """
    if outputs.logits.shape[1] != student.config.num_labels:
        raise ModelError(
            f"the teacher gives {outputs.logits.shape[1]} labels, expected the student's "
            f"{student.config.num_labels}"
        )

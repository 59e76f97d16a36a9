"""Objectives on the logits."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..config import LabelsConfig, LogitsConfig, SoftTargetsConfig
from ..states import ModelOutput
from ..tasks import supervised
from ..tasks.task import SupervisedTask
from ..teacher_outputs import TeacherOutputs
from .objective import Objective, check_answers


class SoftTargets(Objective):
    """Divergence from the teacher's softened answers (Hinton et al. 2015, section 2).

    It is the KL divergence where answers are probabilities. The factor temperature² keeps the
    gradient's size independent of the temperature.
    """

    def __init__(
        self, config: SoftTargetsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        check_answers(student, outputs)
        self.task = supervised(outputs.kind)
        self.temperature = config.temperature

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the batch's texts, or words."""
        ours, theirs = _rows(self.task, output, batch)
        return self.temperature**2 * self.task.divergence(ours, theirs, self.temperature)


class Logits(Objective):
    """Squared error to the teacher's logits (Ba and Caruana 2014, section 2.2)."""

    def __init__(
        self, config: LogitsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        check_answers(student, outputs)
        self.task = supervised(outputs.kind)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the batch's texts, or words, and labels."""
        return functional.mse_loss(*_rows(self.task, output, batch))


class Labels(Objective):
    """The task's loss to the labels, such as cross-entropy; what is unlabelled has none."""

    def __init__(
        self, config: LabelsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        self.task = supervised(outputs.kind)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over what is labelled, 0 if nothing is."""
        return self.task.loss(output.logits, batch["labels"])


def _rows(
    task: SupervisedTask, output: ModelOutput, batch: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the student's and the teacher's logits that are compared. Shape: (rows, labels)."""
    return task.rows(output.logits, batch), task.rows(batch["teacher_logits"], batch)

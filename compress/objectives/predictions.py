"""Objectives on the logits."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..config import LogitsConfig, SoftTargetsConfig
from ..errors import ModelError
from ..states import ModelOutput
from ..teacher_outputs import TeacherOutputs
from .objective import Objective


class SoftTargets(Objective):
    """KL divergence to the teacher's softened probabilities (Hinton et al. 2015, section 2).

    The factor temperature² keeps the gradient's size independent of the temperature.
    """

    def __init__(
        self, config: SoftTargetsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        _check_labels(student, outputs)
        self.temperature = config.temperature

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the batch."""
        return self.temperature**2 * functional.kl_div(
            functional.log_softmax(output.logits / self.temperature, dim=-1),
            functional.log_softmax(batch["teacher_logits"] / self.temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )


class Logits(Objective):
    """Squared error to the teacher's logits (Ba and Caruana 2014, section 2.2)."""

    def __init__(
        self, config: LogitsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        _check_labels(student, outputs)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over batch and labels."""
        return functional.mse_loss(output.logits, batch["teacher_logits"])


class Labels(Objective):
    """Cross-entropy to the labels; an example labelled -100 has none."""

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the labelled examples, 0 if there are none."""
        labels = batch["labels"]
        total = functional.cross_entropy(output.logits, labels, ignore_index=-100, reduction="sum")
        return total / torch.clamp((labels != -100).sum(), min=1)


def _check_labels(student: PreTrainedModel, outputs: TeacherOutputs) -> None:
    if outputs.logits.shape[1] != student.config.num_labels:
        raise ModelError(
            f"the teacher gives {outputs.logits.shape[1]} labels, expected the student's "
            f"{student.config.num_labels}"
        )

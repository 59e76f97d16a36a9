"""Objective on what both models read in place of hidden tokens."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..config import MaskedTokensConfig
from ..errors import ModelError
from ..masked_language import new_head, states_at
from ..states import ModelOutput, state_name
from ..teacher_outputs import MASKED, TeacherOutputs
from .objective import Objective


class MaskedTokens(Objective):
    """KL divergence between both heads' distributions over the vocabulary at hidden tokens.

    Sanh et al. 2019 (DistilBERT, section 3), at the hidden positions alone. The teacher's frozen
    head reads the states that were kept of it, because logits over a vocabulary fill no disk.

    Attributes:
        head: The student's, which is kept with it.
    """

    def __init__(
        self, config: MaskedTokensConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        outputs.width(MASKED)
        if outputs.head is None:
            raise ModelError(
                "the teacher's head was not kept, expected one for the objective masked_tokens; "
                "run the general-teacher stage with `head`"
            )
        self.student_states = (state_name("hidden", student.config.num_hidden_layers - 1),)
        self.teacher_states = (MASKED,)
        self.teacher_head = outputs.head
        self.head = new_head(student, outputs.head)
        self.temperature = config.temperature
        self.labels = config.labels

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over hidden positions, 0 if there are none.

        Args:
            output: The student's states of the text with hidden tokens.
            batch: Also masked_positions (batch, positions), 0 where there is none, masked_ids of
                the same shape, and the teacher's states there (batch, positions, width).
        """
        positions = batch["masked_positions"]
        asked = positions > 0
        ((states, wanted_states),) = self.state_pairs(output, batch)
        found = self.head(states_at(states, positions)).float()
        with torch.no_grad():
            wanted = self.teacher_head(wanted_states[asked]).float()
        total = self.temperature**2 * functional.kl_div(
            functional.log_softmax(found / self.temperature, dim=-1),
            functional.log_softmax(wanted / self.temperature, dim=-1),
            reduction="sum",
            log_target=True,
        )
        if self.labels:
            truth = batch["masked_ids"][asked]
            total = total + self.labels * functional.cross_entropy(found, truth, reduction="sum")
        return total / asked.sum().clamp(min=1)

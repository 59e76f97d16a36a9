"""Objective on self-attention relations."""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..config import RelationsConfig
from ..errors import ModelError
from ..states import ModelOutput, state_width
from ..teacher_outputs import TeacherOutputs
from .attention import dot_products, softmax_divergence
from .objective import Objective


class Relations(Objective):
    """KL divergence of query-query, key-key and value-value relations of one layer.

    MiniLMv2 (Wang et al. 2021, section 3): queries of all heads are joined and cut anew into
    relation heads, so that neither heads nor widths need to agree. The three terms are summed.
    """

    def __init__(
        self, config: RelationsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        last = student.config.num_hidden_layers - 1
        layer = outputs.layers - 1 if config.layer == "last" else config.layer
        self.compare(("query", "key", "value"), [(last, layer)], outputs)
        self.heads = config.heads
        for owner, width in (
            ("student", state_width(student, self.student_states[0])),
            ("teacher", outputs.width(self.teacher_states[0])),
        ):
            if width % self.heads:
                raise ModelError(
                    f"the {owner}'s attention is {width} wide, expected a multiple of "
                    f"objectives.relations.heads {self.heads}"
                )

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the sum over the three kinds of the mean over heads and real positions."""
        mask = batch["attention_mask"]
        return torch.stack(
            [
                softmax_divergence(
                    dot_products(states, states, self.heads),
                    dot_products(wanted, wanted, self.heads),
                    mask,
                )
                for states, wanted in self.state_pairs(output, batch)
            ]
        ).sum()

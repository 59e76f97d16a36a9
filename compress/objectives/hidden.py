"""Objectives on hidden states."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from ..config import EMBEDDINGS, EmbeddingsConfig, HiddenConfig, PatientConfig
from ..errors import ModelError
from ..layer_map import layer_pairs
from ..states import ModelOutput, state_width
from ..teacher_outputs import TeacherOutputs
from .objective import Objective


class HiddenStates(Objective):
    """Squared error to the teacher's hidden states through one learned projection a layer.

    Romero et al. 2015 (FitNets), layer to layer as in TinyBERT (Jiao et al. 2020, equation 8).
    """

    def __init__(
        self,
        config: HiddenConfig | EmbeddingsConfig,
        student: PreTrainedModel,
        outputs: TeacherOutputs,
    ) -> None:
        super().__init__(config, student, outputs)
        self.compare(("hidden",), self._pairs(config, student, outputs), outputs)
        self.projections = nn.ModuleList(
            _projection(state_width(student, mine), outputs.width(theirs))
            for mine, theirs in zip(self.student_states, self.teacher_states, strict=True)
        )
        self.over_tokens = config.over_tokens

    def _pairs(
        self, config: Any, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> list[tuple[int, int]]:
        return layer_pairs(config.layers, student.config.num_hidden_layers, outputs.layers)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over layers, real positions and dimensions."""
        mask = batch["attention_mask"] if self.over_tokens else batch["attention_mask"][:, :1]
        errors = []
        for projection, (states, wanted) in zip(
            self.projections, self.state_pairs(output, batch), strict=True
        ):
            difference = projection(states[:, : mask.shape[1]]) - wanted[:, : mask.shape[1]]
            per_position = difference.square().mean(-1)
            errors.append((per_position * mask).sum() / mask.sum())
        return torch.stack(errors).mean()


class Embeddings(HiddenStates):
    """Squared error to the output of the teacher's embeddings (Jiao et al. 2020, equation 9)."""

    def _pairs(
        self, config: Any, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> list[tuple[int, int]]:
        return [(EMBEDDINGS, EMBEDDINGS)]


class Patient(Objective):
    """Squared distance of the sentence position's normalised states (Sun et al. 2019, equation 7).

    The last layer is left to the logits. A projection is learned where the widths differ.
    """

    def __init__(
        self, config: PatientConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        depth = student.config.num_hidden_layers
        if depth < 2:
            raise ModelError(
                f"the student has {depth} layer, expected two or more for the objective patient, "
                "which leaves out the last"
            )
        mapped = depth if config.layers == "uniform" else depth - 1
        pairs = layer_pairs(config.layers, mapped, outputs.layers)
        self.compare(("hidden",), pairs[: depth - 1], outputs)
        widths = [
            (state_width(student, mine), outputs.width(theirs))
            for mine, theirs in zip(self.student_states, self.teacher_states, strict=True)
        ]
        self.projections = nn.ModuleList(
            nn.Identity() if width == teacher_width else nn.Linear(width, teacher_width)
            for width, teacher_width in widths
        )

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over layers and batch."""
        distances = []
        for projection, (states, wanted) in zip(
            self.projections, self.state_pairs(output, batch), strict=True
        ):
            direction = functional.normalize(projection(states[:, 0]), dim=-1)
            wanted_direction = functional.normalize(wanted[:, 0], dim=-1)
            distances.append((direction - wanted_direction).square().sum(-1).mean())
        return torch.stack(distances).mean()


def _projection(width: int, teacher_width: int) -> nn.Linear:
    projection = nn.Linear(width, teacher_width)
    if width == teacher_width:  # a student cut from the teacher already speaks its space
        projection.load_state_dict({"weight": torch.eye(width), "bias": torch.zeros(width)})
    return projection

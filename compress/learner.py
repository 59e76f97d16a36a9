"""A student and what it learns from, as one model that the trainer sees."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from .batches import TokenizedExamples
from .config import ObjectivesConfig, Weight
from .objectives import OBJECTIVES
from .objectives.objective import Objective
from .states import run_with_states
from .tasks import supervised
from .teacher_outputs import MASKED, RaggedRows, TeacherOutputs
from .tokenizer_check import check_same_cuts


class StudentWithObjectives(nn.Module):
    """A student whose loss is the weighted sum of objectives.

    Args:
        student: The model that is kept.
        config: The objectives and their weights.
        outputs: What the teacher said.
        labelled: Outside of training the loss is that to the labels; else it is the
            objectives', and a batch must bring the teacher's states there too.
        penalty: Takes the share of the training that is done, returns a further term ().

    Attributes:
        progress: Share of the training that is done; scheduled weights follow it.
        teacher_states: Names of the teacher's states that a batch must bring.

    Raises:
        ModelError: An objective does not fit this student and teacher.
    """

    accepts_loss_kwargs = False  # `**teacher` takes tensors, not the trainer's own arguments

    def __init__(
        self,
        student: PreTrainedModel,
        config: ObjectivesConfig,
        outputs: TeacherOutputs,
        *,
        labelled: bool = True,
        penalty: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.task = supervised(outputs.kind)
        self.labelled = labelled
        self.progress = 0.0
        self.weights = {name: part.weight for name, part in config.chosen.items()}
        chosen: dict[str, Objective] = {
            name: OBJECTIVES[name](part, student, outputs) for name, part in config.chosen.items()
        }
        self.objectives = nn.ModuleDict(chosen)
        self.penalty = penalty
        self.student_states = {n for one in chosen.values() for n in one.student_states}
        self.teacher_states = {n for one in chosen.values() for n in one.teacher_states}
        self.over_tokens = any(part.over_tokens for part in config.chosen.values())

    def attach(self, examples: TokenizedExamples, states: Mapping[str, RaggedRows]) -> None:
        """Give each example its blocks of the teacher's states that are compared.

        Raises:
            ModelError: Student and teacher cut the texts into different tokens.
        """
        compared = {name: states[name] for name in sorted(self.teacher_states)}
        lengths = [len(ids) for ids in examples.input_ids]
        for name, rows in compared.items():
            if name == MASKED:
                hidden = [len(positions) for positions in examples.extras["masked_positions"]]
                check_same_cuts(rows.lengths, hidden)
            elif self.over_tokens:
                check_same_cuts(rows.lengths, lengths)
        examples.extras |= {f"teacher_{name}": rows for name, rows in compared.items()}

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **teacher: Tensor
    ) -> dict[str, Any]:
        """Return loss () and logits (batch, labels), and each objective's term where they count.

        In training and without labels the loss is the objectives', else that to the labels.

        Args:
            input_ids: Shape: (batch, seq).
            attention_mask: Shape: (batch, seq).
            labels: Shape: (batch,).
            **teacher: `token_type_ids` where texts come in pairs, `teacher_logits`,
                `teacher_<name>` for each of the teacher's states, and `masked_positions` and
                `masked_ids` where tokens are hidden.
        """
        compared = self.training or not self.labelled
        names = self.student_states if compared else ()
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        output = run_with_states(self.student, inputs | teacher, names)
        if not compared:
            return {"loss": self.task.loss(output.logits, labels), "logits": output.logits}
        batch = {"attention_mask": attention_mask, "labels": labels, **teacher}
        terms = {
            name: weight_at(self.weights[name], self.progress) * objective(output, batch)
            for name, objective in self.objectives.items()
        }
        if self.penalty is not None:
            terms["penalty"] = self.penalty(self.progress)
        loss = torch.stack(list(terms.values())).sum()
        return {"loss": loss, "logits": output.logits, "terms": terms}


class Scheduled(Protocol):
    """A model whose weights of objectives follow `progress`, 0..1."""

    progress: float


class FollowSchedule(TrainerCallback):
    """Tells the model before each step how far the training is; nothing but the step decides."""

    def __init__(self, model: "Scheduled") -> None:
        self.model = model

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        self.model.progress = state.global_step / state.max_steps


def weight_at(weight: Weight, progress: float) -> float:
    """Return a weight at a share of the training, on straight lines between its points."""
    points = weight if isinstance(weight, tuple) else (weight,)
    return float(np.interp(progress, np.linspace(0, 1, len(points)), points))

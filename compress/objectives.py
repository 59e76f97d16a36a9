"""What a student learns from: one small module per objective, listed in OBJECTIVES."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from .config import HiddenConfig, LabelsConfig, ObjectivesConfig, SoftTargetsConfig
from .errors import ModelError
from .teacher_outputs import TeacherOutputs


@dataclass(frozen=True)
class StudentOutput:
    """What the student says about a batch.

    Attributes:
        logits: Shape: (batch, labels).
        hidden_states: After the embeddings and after every layer. Shape: (batch, seq, hidden).
    """

    logits: Tensor
    hidden_states: tuple[Tensor, ...] = ()


class SoftTargets(nn.Module):
    """KL divergence to the teacher's softened probabilities (Hinton et al. 2015, section 2).

    The factor temperature² keeps the gradient's size independent of the temperature.
    """

    def __init__(
        self, config: SoftTargetsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__()
        if outputs.logits.shape[1] != student.config.num_labels:
            raise ModelError(
                f"the teacher gives {outputs.logits.shape[1]} labels, expected the student's "
                f"{student.config.num_labels}"
            )
        self.temperature = config.temperature

    def forward(self, output: StudentOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return a scalar from logits of shape (batch, labels)."""
        return self.temperature**2 * functional.kl_div(
            functional.log_softmax(output.logits / self.temperature, dim=-1),
            functional.log_softmax(batch["teacher_logits"] / self.temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )


class HiddenStates(nn.Module):
    """Squared error to the teacher's hidden states through one learned projection a layer.

    Romero et al. 2015 (FitNets), layer to layer as in TinyBERT (Jiao et al. 2020, equation 7).
    """

    def __init__(
        self, config: HiddenConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__()
        if outputs.hidden is None:
            raise ModelError(
                "the teacher's hidden states were not kept, expected them for `hidden`"
            )
        layers = int(outputs.hidden.rows.shape[1])
        if layers != student.config.num_hidden_layers:
            raise ModelError(
                f"hidden states of {layers} teacher layers were kept, expected one for each of the "
                f"student's {student.config.num_hidden_layers} layers"
            )
        width = student.config.hidden_size
        self.projections = nn.ModuleList(
            nn.Linear(width, outputs.hidden_size) for _ in range(layers)
        )
        if width == outputs.hidden_size:  # a student cut from the teacher already speaks its space
            for projection in self.projections:
                projection.load_state_dict({"weight": torch.eye(width), "bias": torch.zeros(width)})
        self.first_only = config.positions == "first"

    def forward(self, output: StudentOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return a scalar from teacher_hidden of shape (batch, positions, layers, hidden)."""
        mask = batch["attention_mask"][:, :, None].to(output.logits.dtype)
        if self.first_only:
            mask = torch.ones_like(mask[:, :1])
        error = output.logits.new_zeros(())
        for layer, projection in enumerate(self.projections):
            states = output.hidden_states[layer + 1][:, : mask.shape[1]]
            wanted = batch["teacher_hidden"][:, :, layer]
            error = error + ((projection(states) - wanted).square() * mask).sum() / (
                mask.sum() * wanted.shape[-1]
            )
        return error / len(self.projections)


class Labels(nn.Module):
    """Cross-entropy to the labels, of those examples that have one."""

    def __init__(
        self, config: LabelsConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__()

    def forward(self, output: StudentOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return a scalar from logits of shape (batch, labels)."""
        labels = batch["labels"]
        total = functional.cross_entropy(output.logits, labels, reduction="sum")
        # The library's mean over a batch without labels would be 0 / 0.
        return total / (labels >= 0).sum().clamp(min=1)


# Field of ObjectivesConfig -> module made of (its config, student, teacher outputs).
OBJECTIVES = {"soft_targets": SoftTargets, "hidden": HiddenStates, "labels": Labels}


class StudentWithObjectives(nn.Module):
    """A student whose loss is the weighted sum of objectives; the trainer sees one model.

    Args:
        student: The model that is kept.
        config: The objectives and their weights.
        outputs: What the teacher said.

    Raises:
        ModelError: An objective does not fit this student and teacher.
    """

    def __init__(
        self, student: PreTrainedModel, config: ObjectivesConfig, outputs: TeacherOutputs
    ) -> None:
        super().__init__()
        self.student = student
        chosen = {name: getattr(config, name) for name in OBJECTIVES if getattr(config, name)}
        self.objectives = nn.ModuleDict(
            {name: OBJECTIVES[name](part, student, outputs) for name, part in chosen.items()}
        )
        self.weights = {name: part.weight for name, part in chosen.items()}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        teacher_logits: Tensor | None = None,
        teacher_hidden: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return loss () and logits (batch, labels).

        Without teacher outputs (on the validation split) the loss is the labels' cross-entropy.
        """
        found = self.student(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=teacher_hidden is not None,
        )
        output = StudentOutput(found.logits, found.hidden_states or ())
        if teacher_logits is None:
            return {
                "loss": functional.cross_entropy(output.logits, labels),
                "logits": output.logits,
            }
        batch = {
            "attention_mask": attention_mask,
            "labels": labels,
            "teacher_logits": teacher_logits,
        }
        if teacher_hidden is not None:
            batch["teacher_hidden"] = teacher_hidden
        terms = [
            self.weights[name] * objective(output, batch)
            for name, objective in self.objectives.items()
        ]
        return {"loss": torch.stack(terms).sum(), "logits": output.logits}

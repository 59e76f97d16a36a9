"""Stage: train a smaller translator on what the teacher would write next.

The teacher is asked while the student learns: its logits over a vocabulary, of every token, are
more than a disk should hold.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderModel, set_seed

from .config import DistillConfig, ObjectivesConfig
from .labelling import UNLABELLED
from .layer_map import uniform_layers
from .learner import FollowSchedule, weight_at
from .tasks.softmax import softened_divergence
from .teacher_translations import read_translations
from .translator import (
    learn_translations,
    next_tokens,
    open_translator,
    smaller_translator,
    token_loss,
)


def distill_translator(
    *,
    config: DistillConfig,
    seed: int,
    data: Path,
    teacher: Path,
    out: Path,
    translations: Path | None = None,
) -> dict[str, Any]:
    """Cut a student out of the teacher, train it and write `out/model`.

    Args:
        config: Student, objectives and training.
        seed: Order of batches and dropout.
        data: Folder of the data stage.
        teacher: Folder of the teacher stage.
        out: Stage folder; may hold the checkpoints of an interrupted try.
        translations: Folder of the teacher-translations stage, to learn its texts and not the right
            ones.

    Returns:
        Parameters, bytes, steps, and the loss of a token on the validation split.

    Raises:
        ModelError: The student has layers that the teacher has not.
    """
    set_seed(seed)
    whole = open_translator(teacher / "model")
    student = config.student
    assert student.decoder_layers is not None  # recipes see to it
    assert student.layers is not None
    layers = student.layers
    if isinstance(layers, int):
        encoder: Any = whole.model.config.encoder
        layers = tuple(uniform_layers(layers, encoder.num_hidden_layers))
    translator = smaller_translator(whole, layers, student.decoder_layers)
    model = LearningTranslator(translator.model, whole.model, config.objectives)
    return learn_translations(
        translator,
        model,
        data,
        config.training,
        seed=seed,
        out=out,
        title="Distil",
        callbacks=[FollowSchedule(model)],
        learned=read_translations(translations) if translations else None,
    )


class LearningTranslator(nn.Module):
    """A student whose loss is that to the teacher's next tokens and to the right ones.

    Outside of training the loss is that to the right ones alone.

    Attributes:
        progress: Share of the training that is done; scheduled weights follow it.
    """

    def __init__(
        self,
        student: EncoderDecoderModel,
        teacher: EncoderDecoderModel,
        objectives: ObjectivesConfig,
    ) -> None:
        super().__init__()
        self.student = student
        # In a list it is no part of this module: neither trained nor kept in checkpoints.
        self.teacher = [teacher.eval()]
        self.objectives = objectives
        self.progress = 0.0

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Any]:
        """Return loss () and logits (batch, target seq, vocabulary), and each objective's term."""
        inputs = input_ids, attention_mask, labels
        logits = next_tokens(self.student, *inputs)
        if not self.training:
            return {"loss": token_loss(logits, labels), "logits": logits}
        terms = {}
        soft, own = self.objectives.soft_targets, self.objectives.labels
        if soft:
            with torch.no_grad():
                theirs = next_tokens(self.teacher[0], *inputs)
            written = labels != UNLABELLED
            # Times temperature² (Hinton et al. 2015), as the objective of other tasks.
            divergence = soft.temperature**2 * softened_divergence(
                logits[written], theirs[written], soft.temperature
            )
            terms["soft_targets"] = weight_at(soft.weight, self.progress) * divergence
        if own:
            terms["labels"] = weight_at(own.weight, self.progress) * token_loss(logits, labels)
        return {"loss": torch.stack(list(terms.values())).sum(), "logits": logits, "terms": terms}

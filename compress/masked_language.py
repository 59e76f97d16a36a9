"""Masked language models of any type that transformers knows, and their heads by themselves."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .errors import ModelError
from .folder import load_tokenizer

logger = logging.getLogger(__name__)


def load_masked_lm(folder: Path, key: str, way_out: str) -> PreTrainedModel:
    """Load a checkpoint with the head that names words, in eval mode.

    Args:
        folder: The checkpoint.
        key: What the recipe calls it, for complaints.
        way_out: What to do without such a head, for complaints.

    Raises:
        ModelError: It does not load, or has no such head or no mask token.
    """
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} does not load as a masked language model ({str(error).splitlines()[0]}), "
            f"expected one in {key}"
        ) from error
    missing = sorted(loading["missing_keys"])
    if missing or load_tokenizer(folder).mask_token is None:
        reason = f"no weights {missing[0]}" if missing else "a tokenizer without a mask token"
        raise ModelError(
            f"{folder} has {reason}, expected a checkpoint with a masked-language-model head in "
            f"{key}; {way_out}"
        )
    model.eval()
    loaded: PreTrainedModel = model
    return loaded


class MaskedLanguageHead(nn.Module):
    """What turns last hidden states into logits over the vocabulary.

    It is the library's model with a stand-in for its encoder, whatever the type calls its parts, so
    that the vocabulary is only multiplied with the positions that are asked for.

    Args:
        model: A masked language model; its encoder is taken out.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        setattr(model, model.base_model_prefix, _GivenStates())
        self.model = model

    def forward(self, states: Tensor) -> Tensor:
        """Return logits (positions, vocabulary) of states (positions, width)."""
        logits: Tensor = self.model(inputs_embeds=states[None]).logits[0]
        return logits

    def with_encoder(self, encoder: nn.Module) -> PreTrainedModel:
        """Return the whole model around an encoder, ready to be saved."""
        setattr(self.model, self.model.base_model_prefix, encoder)
        return self.model


class TeacherHead(MaskedLanguageHead):
    """A head that is asked but never trained, and left out of the trainer's checkpoints."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self.eval()
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "TeacherHead":
        """Stay in eval mode."""
        super().train(False)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Hold nothing: what never changes need not be kept for resuming."""
        return kwargs.get("destination", {})


def new_head(student: PreTrainedModel, teacher: MaskedLanguageHead) -> MaskedLanguageHead:
    """Give a student a head that names words by its own word table.

    What of the teacher's head has the same name and shape is copied, the rest is new.

    Args:
        student: A model with an encoder.
        teacher: The teacher's head.

    Raises:
        ModelError: Both know different numbers of tokens.
    """
    known, expected = (m.config.vocab_size for m in (student, teacher.model))
    if known != expected:
        raise ModelError(
            f"the student's word table has {known:,} rows, expected the {expected:,} of the "
            "teacher, whose head it learns from in general.objectives.masked_tokens; name a "
            "student with the teacher's vocabulary"
        )
    model: PreTrainedModel = AutoModelForMaskedLM.from_config(student.config)
    setattr(model, model.base_model_prefix, student.base_model)
    model.tie_weights()
    words: Any = student.get_input_embeddings()
    head = MaskedLanguageHead(model)
    theirs = dict(teacher.named_parameters())
    own = {n: part for n, part in head.named_parameters() if part is not words.weight}
    copied = [n for n, part in own.items() if n in theirs and theirs[n].shape == part.shape]
    with torch.no_grad():
        for name in copied:
            own[name].copy_(theirs[name])
    logger.info("head that names words: %d of %d parts are the teacher's", len(copied), len(own))
    return head


class _GivenStates(nn.Module):
    """Stands for an encoder that has computed its states already."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)

"""Masked language models of any type that transformers knows, and their heads by themselves."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
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
    model, missing = _load(folder, key)
    if missing:
        raise ModelError(
            f"{folder} has no weights {missing[0]}, expected a checkpoint with a "
            f"masked-language-model head in {key}; {way_out}"
        )
    return model


def load_to_be_trained(folder: Path, key: str) -> PreTrainedModel:
    """Load an encoder with the head that names words, or with a new one over its word table.

    Args:
        folder: The checkpoint.
        key: What the recipe calls it, for complaints.

    Raises:
        ModelError: It does not load, or has no mask token.
    """
    model, missing = _load(folder, key)
    if any(name.startswith(f"{model.base_model_prefix}.") for name in missing):
        raise ModelError(
            f"{folder} has no weights {missing[0]}, expected a whole encoder in {key}; name another"
        )
    if missing:
        logger.info("head that names words: new, over the checkpoint's own word table")
    return model


def _load(folder: Path, key: str) -> tuple[PreTrainedModel, list[str]]:
    """Return a model in eval mode and the weights that its checkpoint lacks."""
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} does not load as a masked language model ({str(error).splitlines()[0]}), "
            f"expected one in {key}"
        ) from error
    if load_tokenizer(folder).mask_token is None:
        raise ModelError(
            f"{folder} has a tokenizer without a mask token, expected one that can hide tokens in "
            f"{key}; name another checkpoint"
        )
    model.eval()
    return model, sorted(loading["missing_keys"])


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


class MaskedLanguageLearner(nn.Module):
    """A masked language model whose loss is that of the hidden tokens, and computed there alone.

    Args:
        model: The whole model.
    """

    accepts_loss_kwargs = False  # a mean over this batch is wanted

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.encoder: Any = model.base_model
        self.head = MaskedLanguageHead(model)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        masked_positions: Tensor,
        masked_ids: Tensor,
    ) -> dict[str, Tensor]:
        """Return the mean cross-entropy () and the logits (hidden tokens, vocabulary).

        Args:
            input_ids: Shape: (batch, seq).
            attention_mask: Shape: (batch, seq).
            labels: Not looked at.
            masked_positions: Which are hidden; 0 is padding. Shape: (batch, positions).
            masked_ids: What stood there. Shape: (batch, positions).
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.head(states_at(states, masked_positions))
        truth = masked_ids[masked_positions > 0]
        total = functional.cross_entropy(logits.float(), truth, reduction="sum")
        return {"loss": total / max(1, len(truth)), "logits": logits}

    def whole(self) -> PreTrainedModel:
        """Return the library's model again."""
        return self.head.with_encoder(self.encoder)


def states_at(states: Tensor, positions: Tensor) -> Tensor:
    """Pick states, text by text.

    Args:
        states: Shape: (batch, seq, width).
        positions: 0 is padding and left out. Shape: (batch, positions).

    Returns:
        Shape: (positions that are not 0, width).
    """
    asked = positions > 0
    rows = torch.arange(len(positions), device=positions.device)[:, None].expand_as(positions)
    return states[rows[asked], positions[asked]]

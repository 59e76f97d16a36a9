"""Encoders that answer a text with one vector: pooled, projected and normalised inside the model.

The head is called `classifier` and its vectors `logits`, as those of every other task, so that
surgery, export and engines treat them alike. The projection is the identity until something is
learned; it stays in the engine, so that a student's vectors are as long as its teacher's and lie in
the same space: what one of them indexed the other finds.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertModel,
    BertPreTrainedModel,
    DistilBertModel,
    MPNetModel,
    PreTrainedModel,
    RobertaModel,
    XLMRobertaModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.distilbert.modeling_distilbert import DistilBertPreTrainedModel
from transformers.models.mpnet.modeling_mpnet import MPNetPreTrainedModel
from transformers.models.roberta.modeling_roberta import RobertaPreTrainedModel
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaPreTrainedModel

from .errors import ModelError


def mean_of_tokens(states: Tensor, mask: Tensor) -> Tensor:
    """Average the real positions (Reimers and Gurevych 2019, section 3). Shape: (batch, width).

    Args:
        states: Shape: (batch, seq, width).
        mask: 1 on real positions. Shape: (batch, seq).
    """
    real = mask[:, :, None].to(states.dtype)
    return (states * real).sum(1) / real.sum(1)


def first_token(states: Tensor, mask: Tensor) -> Tensor:
    """Take the first position, which stands for the text. Shape: (batch, width)."""
    return states[:, 0]


POOLINGS = {"mean": mean_of_tokens, "cls": first_token}


class Embedder:
    """What all share; `config` says `pooling` and, as `num_labels`, how long vectors are."""

    body: ClassVar[type[Any]]
    options: ClassVar[dict[str, Any]] = {"add_pooling_layer": False}

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        model: Any = self
        setattr(model, model.base_model_prefix, self.body(config, **self.options))
        model.classifier = nn.Linear(config.hidden_size, config.num_labels)
        model.post_init()

    def embed(self, attention_mask: Tensor, **inputs: Any) -> SequenceClassifierOutput:
        """Return vectors of length 1 as logits. Shape: (batch, width)."""
        model: Any = self
        found = model.base_model(attention_mask=attention_mask, **inputs)
        pooled = POOLINGS[model.config.pooling](found.last_hidden_state, attention_mask)
        vectors = functional.normalize(model.classifier(pooled), dim=-1)
        return SequenceClassifierOutput(logits=vectors, hidden_states=found.hidden_states)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False
    ) -> SequenceClassifierOutput:
        """Return vectors as logits. Shape: (batch, width)."""
        return self.embed(
            attention_mask, input_ids=input_ids, output_hidden_states=output_hidden_states
        )


class BertEmbedder(Embedder, BertPreTrainedModel):
    """BERT."""

    body = BertModel

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        output_hidden_states: bool = False,
        token_type_ids: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return vectors as logits. Shape: (batch, width)."""
        return self.embed(
            attention_mask,
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            output_hidden_states=output_hidden_states,
        )


class MPNetEmbedder(Embedder, MPNetPreTrainedModel):
    """MPNet."""

    body = MPNetModel


class RobertaEmbedder(Embedder, RobertaPreTrainedModel):
    """RoBERTa."""

    body = RobertaModel


class XLMRobertaEmbedder(Embedder, XLMRobertaPreTrainedModel):
    """XLM-R."""

    body = XLMRobertaModel


class DistilBertEmbedder(Embedder, DistilBertPreTrainedModel):
    """DistilBERT."""

    body = DistilBertModel
    options: ClassVar[dict[str, Any]] = {}


# Model type -> its embedder.
EMBEDDERS: dict[str, type[Any]] = {
    "bert": BertEmbedder,
    "mpnet": MPNetEmbedder,
    "roberta": RobertaEmbedder,
    "xlm-roberta": XLMRobertaEmbedder,
    "distilbert": DistilBertEmbedder,
}


class AutoEmbedder:
    """Builds the embedder of a model type, with the names of transformers' auto classes."""

    @staticmethod
    def from_config(config: Any) -> PreTrainedModel:
        """Build one with new weights.

        Raises:
            ModelError: The type is not known.
        """
        model: PreTrainedModel = embedder_of(config.model_type)(config)
        return model


def embedder_of(model_type: str) -> Any:
    """Return the embedder of a model type.

    Raises:
        ModelError: The type is not known.
    """
    if model_type not in EMBEDDERS:
        raise ModelError(
            f"the model is of type {model_type!r}, expected one of {', '.join(EMBEDDERS)} where a "
            "text gets a vector; name another checkpoint"
        )
    return EMBEDDERS[model_type]


@torch.no_grad()
def project_nothing(model: Any) -> None:
    """Let a projection that is as wide as its input leave it as it is."""
    model.classifier.weight.copy_(torch.eye(model.classifier.out_features))
    model.classifier.bias.zero_()


def projects(model: Any) -> bool:
    """Say whether the projection changes anything."""
    weight, bias = model.classifier.weight, model.classifier.bias
    square = weight.shape[0] == weight.shape[1]
    return not square or bool(bias.any()) or not torch.equal(weight, torch.eye(len(weight)))

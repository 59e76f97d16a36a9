"""MPNet as a BERT whose attention also learns distances, so that all that prunes BERT prunes it.

MPNet (Song et al. 2020) is BERT but for a bias of every head on each distance between two positions
(Raffel et al. 2020), positions that are counted from the padding id, and no segments. Here every
layer has a table of its own, of which a head that goes takes its column along.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    MPNetForTokenClassification,
    PreTrainedModel,
)
from transformers.models.bert.modeling_bert import BertSelfAttention
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from .embedder import BertEmbedder, MPNetEmbedder
from .errors import ModelError

# Of an MPNet's names, what the same thing is called in BERT; the longer ones come first.
BERT_NAMES = {
    "mpnet.": "bert.",
    "attention.attn.q.": "attention.self.query.",
    "attention.attn.k.": "attention.self.key.",
    "attention.attn.v.": "attention.self.value.",
    "attention.attn.o.": "attention.output.dense.",
    "attention.LayerNorm.": "attention.output.LayerNorm.",
    "classifier.dense.": "bert.pooler.dense.",
    "classifier.out_proj.": "classifier.",
}
BIAS = "mpnet.encoder.relative_attention_bias.weight"
POSITIONS = "bert.embeddings.position_embeddings.weight"
SEGMENTS = "bert.embeddings.token_type_embeddings.weight"


class BiasedSelfAttention(BertSelfAttention):
    """BERT's self-attention with a learned number for every head and distance.

    Attributes:
        relative_attention_bias: Shape of its weight: (buckets of distances, heads).
    """

    def __init__(self, config: BertConfig, layer_idx: int, buckets: int) -> None:
        super().__init__(config, layer_idx=layer_idx)
        self.relative_attention_bias = nn.Embedding(buckets, self.num_attention_heads)

    def forward(  # type: ignore[override]  # the cache of a decoder is among the others
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **also: Any
    ) -> tuple[Tensor]:
        """Attend; the bias enters as the mask does. Shape: (batch, seq, heads * head size)."""
        bias = self._bias(hidden_states.shape[1], hidden_states.device)
        if attention_mask is not None and attention_mask.dtype == torch.bool:
            bias = bias.masked_fill(~attention_mask, torch.finfo(bias.dtype).min)
        elif attention_mask is not None:
            bias = attention_mask + bias
        return super().forward(hidden_states, bias, **also)

    def _bias(self, length: int, device: torch.device) -> Tensor:
        """Return what each head adds for each pair of positions. Shape: (1, heads, seq, seq)."""
        positions = torch.arange(length, device=device)
        buckets = MPNetEncoder.relative_position_bucket(
            positions[None, :] - positions[:, None],
            num_buckets=self.relative_attention_bias.num_embeddings,
        )
        bias: Tensor = self.relative_attention_bias(buckets)
        return bias.permute(2, 0, 1)[None]


def as_bert(model: PreTrainedModel) -> PreTrainedModel:
    """Return an MPNet with its head as a BERT that answers the same; others as they are.

    Raises:
        ModelError: It answers every word, not the text.
    """
    if model.config.model_type != "mpnet":
        return model
    if isinstance(model, MPNetForTokenClassification):
        raise ModelError(
            "the model is an MPNet that answers every word, expected a BERT; distil into a BERT "
            "student (distill.student.init names a BERT checkpoint)"
        )
    mpnet = model.config
    gives_vectors = isinstance(model, MPNetEmbedder)
    config = _bert_config(mpnet)
    bert = BertEmbedder(config) if gives_vectors else BertForSequenceClassification(config)
    use_relative_bias(bert, mpnet.relative_attention_num_buckets)
    weights = _renamed(model.state_dict())
    bias = weights.pop(BIAS)
    for layer in range(mpnet.num_hidden_layers):
        name = f"bert.encoder.layer.{layer}.attention.self.relative_attention_bias.weight"
        weights[name] = bias.clone()
    # The first positions of MPNet's table belong to the padding id and to what is below it.
    weights[POSITIONS] = weights[POSITIONS][mpnet.pad_token_id + 1 :]
    weights[SEGMENTS] = torch.zeros(2, mpnet.hidden_size)
    bert.load_state_dict(weights)
    bert.eval()
    return bert


def use_relative_bias(model: PreTrainedModel, buckets: int) -> None:
    """Give every layer of a freshly built BERT the attention that learns distances."""
    encoder: Any = model.base_model.get_submodule("encoder")
    config: Any = model.config
    for number, layer in enumerate(encoder.layer):
        layer.attention.self = BiasedSelfAttention(config, number, buckets)


def relative_buckets(model: PreTrainedModel) -> int | None:
    """Return how many buckets of distances a BERT's attention knows, None of an ordinary one."""
    tables = (m for m in model.modules() if isinstance(m, BiasedSelfAttention))
    first = next(tables, None)
    return first.relative_attention_bias.num_embeddings if first is not None else None


def keep_bias_of(attention: nn.Module, heads: Tensor) -> None:
    """Keep only these heads' columns of the table, if there is one. Shape: (kept,)."""
    if not isinstance(attention, BiasedSelfAttention):
        return
    table = attention.relative_attention_bias.weight.detach()[:, heads].clone()
    attention.relative_attention_bias = nn.Embedding(len(table), len(heads), _weight=table)


def _bert_config(mpnet: Any) -> BertConfig:
    return BertConfig(
        vocab_size=mpnet.vocab_size,
        hidden_size=mpnet.hidden_size,
        num_hidden_layers=mpnet.num_hidden_layers,
        num_attention_heads=mpnet.num_attention_heads,
        intermediate_size=mpnet.intermediate_size,
        hidden_act=mpnet.hidden_act,
        hidden_dropout_prob=mpnet.hidden_dropout_prob,
        attention_probs_dropout_prob=mpnet.attention_probs_dropout_prob,
        max_position_embeddings=mpnet.max_position_embeddings - mpnet.pad_token_id - 1,
        layer_norm_eps=mpnet.layer_norm_eps,
        initializer_range=mpnet.initializer_range,
        pad_token_id=mpnet.pad_token_id,
        id2label=mpnet.id2label,
        label2id=mpnet.label2id,
        # Of a model that answers with vectors.
        **{name: getattr(mpnet, name) for name in ("pooling",) if hasattr(mpnet, name)},
    )


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in weights.items():
        if name != BIAS:
            for theirs, ours in BERT_NAMES.items():
                name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed

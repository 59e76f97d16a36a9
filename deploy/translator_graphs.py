"""Both graphs of a translator: an encoder, and a decoder's step with a cache.

The encoder's graph ends with the keys and values that the decoder's layers read of it, so that no
step computes them again.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import EncoderDecoderModel

from .float_edits import MASK_VALUE

ENCODER_INPUTS = ("input_ids", "attention_mask")
DECODER_INPUTS = ("tokens", "attention_mask", "read", "written")


class Encoder(nn.Module):
    """Reads a text."""

    def __init__(self, model: EncoderDecoderModel) -> None:
        super().__init__()
        self.encoder: Any = model.encoder
        decoder: Any = model.decoder
        self.crossing = nn.ModuleList(
            layer.crossattention.self for layer in decoder.bert.encoder.layer
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return keys and values of every layer. Shape: (batch, layers, 2, heads, seq, size)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return torch.stack(
            [torch.stack(_keys_and_values(one, states), dim=1) for one in self.crossing], dim=1
        )


class Step(nn.Module):
    """Writes the next token."""

    def __init__(self, model: EncoderDecoderModel) -> None:
        super().__init__()
        decoder: Any = model.decoder
        self.bert: Any = decoder.bert
        self.head: Any = decoder.cls

    def forward(
        self, tokens: Tensor, attention_mask: Tensor, read: Tensor, written: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (batch, vocabulary) and the cache one token longer.

        Args:
            tokens: The last token. Shape: (batch, 1).
            attention_mask: 1 for each token that is read. Shape: (batch, seq).
            read: What `Encoder` returns.
            written: The cache. Shape: (batch, layers, 2, heads, written, size).
        """
        embeddings = self.bert.embeddings
        place = torch.full((1, 1), written.shape[4], dtype=torch.int64)
        state = embeddings.word_embeddings(tokens) + embeddings.position_embeddings(place)
        state = embeddings.LayerNorm(state + embeddings.token_type_embeddings.weight[0])
        mask = (1.0 - attention_mask[:, None, None, :].float()) * MASK_VALUE
        longer = []
        for number, layer in enumerate(self.bert.encoder.layer):
            new = _keys_and_values(layer.attention.self, state)
            cache = torch.cat([written[:, number], torch.stack(new, dim=1)], dim=3)
            longer.append(cache)
            heard = _attend(layer.attention.self, state, cache, None)
            state = layer.attention.output(heard, state)
            heard = _attend(layer.crossattention.self, state, read[:, number], mask)
            state = layer.crossattention.output(heard, state)
            state = layer.feed_forward_chunk(state)
        return self.head(state).squeeze(1), torch.stack(longer, dim=1)


def _heads(attention: Any, states: Tensor) -> Tensor:
    """Cut the last axis into heads. Shape: (batch, heads, seq, size)."""
    shape = (states.shape[0], -1, attention.num_attention_heads, attention.attention_head_size)
    cut: Tensor = states.view(shape).transpose(1, 2)
    return cut


def _keys_and_values(attention: Any, states: Tensor) -> tuple[Tensor, Tensor]:
    return _heads(attention, attention.key(states)), _heads(attention, attention.value(states))


def _attend(attention: Any, state: Tensor, cache: Tensor, mask: Tensor | None) -> Tensor:
    """Return what a layer hears of keys and values. Shape: (batch, 1, width)."""
    query = _heads(attention, attention.query(state)) * attention.scaling
    scores = query @ cache[:, 0].transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    heard: Tensor = scores.softmax(-1) @ cache[:, 1]
    return heard.transpose(1, 2).reshape(state.shape[0], 1, -1)

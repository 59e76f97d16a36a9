"""The named states of real model types, against what the models themselves give."""

import math

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig

from pocketbert.compress.errors import ModelError
from pocketbert.compress.states import (
    PROJECTIONS,
    attention_heads,
    position_bias,
    run_with_states,
    state_width,
)

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
DISTILBERT_SIZES = {
    "vocab_size": 40,
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 32,
    "max_position_embeddings": 40,
}
IDS = torch.tensor([[4, 7, 8, 9, 5]])


def batch(ids):
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def tiny(model_type):
    torch.manual_seed(0)
    sizes = DISTILBERT_SIZES if model_type == "distilbert" else SIZES
    extra = {"embedding_size": 8} if model_type == "electra" else {}
    config = AutoConfig.for_model(model_type, **sizes, **extra)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():  # a fresh model attends nearly evenly, which would hide a wrong formula
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize("model_type", PROJECTIONS)
def test_queries_and_keys_give_the_models_own_attention(model_type):
    model = tiny(model_type)
    with torch.no_grad():
        names = ["query_1", "key_1", "value_1"]
        found = run_with_states(model, batch(IDS), names)
        own = model(input_ids=IDS, output_attentions=True)
    query, key = (
        found.states[name].unflatten(-1, (2, 8)).transpose(1, 2) for name in ("query_1", "key_1")
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(8)
    bias = position_bias(model, 12)
    if bias is not None:
        scores = scores + bias[:, :5, :5]
    torch.testing.assert_close(scores.softmax(-1), own.attentions[1])
    torch.testing.assert_close(found.logits, own.logits)
    assert state_width(model, "value_1") == found.states["value_1"].shape[-1] == 16
    assert attention_heads(model, 1) == 2


@pytest.mark.parametrize("model_type", PROJECTIONS)
def test_hidden_states_are_counted_from_the_embeddings(model_type):
    model = tiny(model_type)
    with torch.no_grad():
        names = ["hidden_-1", "hidden_1"]
        found = run_with_states(model, batch(IDS), names).states
        own = model(input_ids=IDS, output_hidden_states=True).hidden_states
    torch.testing.assert_close(found["hidden_-1"], own[0])
    torch.testing.assert_close(found["hidden_1"], own[2])
    assert state_width(model, "hidden_-1") == own[0].shape[-1]


def test_only_mpnet_has_a_position_bias():
    assert position_bias(tiny("bert"), 12) is None
    assert position_bias(tiny("mpnet"), 12).shape == (2, 12, 12)


def test_no_hook_stays_behind():
    model = tiny("bert")
    run_with_states(model, batch(IDS), ["query_0"])
    with pytest.raises(IndexError):
        run_with_states(model, batch(IDS + 40), ["query_0"])
    assert all(not module._forward_hooks for module in model.modules())


def test_an_unknown_type_is_refused():
    model = tiny("bert")
    model.config = BertConfig(**SIZES)
    model.config.model_type = "oddbert"
    with pytest.raises(ModelError, match="attention of a 'oddbert' model is not known, expected"):
        state_width(model, "key_0")

"""Whole layers go where they are missed least, and the rest stays as it was."""

import copy

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from pocketbert.compress.errors import ModelError
from pocketbert.compress.layer_drop import drop_layers
from pocketbert.compress.surgery import bert_layers, keep_layers

BATCHES = [
    {
        "input_ids": torch.tensor([[2, 40, 41, 42, 3], [2, 50, 51, 3, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]),
    },
    {"input_ids": torch.tensor([[2, 60, 3]]), "attention_mask": torch.tensor([[1, 1, 1]])},
]


@pytest.fixture
def model(tiny_checkpoint):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from each other, so that no two layers tie
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def answers(model):
    return torch.cat([model(**batch).logits for batch in BATCHES]).log_softmax(-1)


def make_idle(layer):
    """Let a layer add nothing to normalised states, so that it passes them on."""
    for block in (layer.attention.output, layer.output):
        torch.nn.init.zeros_(block.dense.weight)
        torch.nn.init.zeros_(block.dense.bias)


def test_a_layer_that_does_nothing_goes_first(model):
    layers = bert_layers(model)
    for layer in layers:
        for block in (layer.attention.output, layer.output):
            torch.nn.init.ones_(block.LayerNorm.weight)
            torch.nn.init.zeros_(block.LayerNorm.bias)
    make_idle(layers[2])
    before = answers(model)
    drop_layers(model, BATCHES, 1)
    assert bert_layers(model) == [layers[0], layers[1], layers[3]]
    assert model.config.num_hidden_layers == 3
    torch.testing.assert_close(answers(model), before, atol=1e-5, rtol=0)


def test_the_layer_that_goes_has_the_smallest_divergence(model):
    original, losses = answers(model), []
    for gone in range(4):
        without = copy.deepcopy(model)
        keep_layers(without, tuple(n for n in range(4) if n != gone))
        found = answers(without)
        losses.append(float((original.exp() * (original - found)).sum(-1).mean()))
    layers = bert_layers(model)
    drop_layers(model, BATCHES, 1)
    least = min(range(4), key=losses.__getitem__)
    assert bert_layers(model) == [layer for n, layer in enumerate(layers) if n != least]
    assert [layer.attention.self.layer_idx for layer in bert_layers(model)] == [0, 1, 2]


def test_one_layer_at_least_stays(model):
    drop_layers(model, BATCHES, 3)
    assert len(bert_layers(model)) == 1
    with pytest.raises(ModelError, match=r"prune\.layers is 1, expected fewer than the model's 1"):
        drop_layers(model, BATCHES, 1)

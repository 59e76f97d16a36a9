import copy

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.reconstruction import reconstruct, solve_ridge
from pocketbert.compress.surgery import bert_layers, keep_heads, keep_hidden, keep_neurons

# The second text is padded: its last two positions must not count.
IDS = torch.randint(5, 50, (40, 9), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1::2, -2:] = 0
BATCHES = [
    {"input_ids": IDS[start : start + 8], "attention_mask": MASK[start : start + 8]}
    for start in range(0, 40, 8)
]


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    return BertForSequenceClassification(config).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits


def test_the_solution_is_that_of_stacked_least_squares():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(50, 6)), draw.normal(size=(50, 3))
    with_ones = np.hstack([a, np.ones((50, 1))])
    ridge = 0.1
    penalty = np.sqrt(ridge * (a**2).sum(0).mean()) * np.eye(7)
    penalty[-1] = 0
    stacked = np.vstack([with_ones, penalty]), np.vstack([b, np.zeros((7, 3))])
    expected = np.linalg.lstsq(*stacked, rcond=None)[0]
    found = solve_ridge(
        torch.from_numpy(with_ones.T @ with_ones), torch.from_numpy(with_ones.T @ b), ridge
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_projection_becomes_the_least_squares_fit_of_the_original(model):
    """Layer 0's attention: everything that enters it is untouched, so numpy can say the answer."""
    original = copy.deepcopy(model)
    keep_heads(bert_layers(model)[0], torch.tensor([0, 2]))
    seen = {}

    def watch(name):
        return lambda _, inputs, output: seen.update({name: (inputs[0], output)})

    for name, one in (("small", model), ("whole", original)):
        bert_layers(one)[0].attention.output.dense.register_forward_hook(watch(name))
    logits(model)
    logits(original)
    rows = MASK.bool()
    x, y = seen["small"][0][rows].double(), seen["whole"][1][rows].double()
    expected = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), y.numpy(), rcond=None)[0]
    reconstruct(model, original, BATCHES, ridge=0.0)
    dense = bert_layers(model)[0].attention.output.dense
    np.testing.assert_allclose(dense.weight.detach().T, expected[:-1], atol=1e-4)
    np.testing.assert_allclose(dense.bias.detach(), expected[-1], atol=1e-4)


def test_what_a_twin_does_is_recovered_exactly(model):
    """Neurons and heads come in pairs of equals; one of each pair goes."""
    for layer in bert_layers(model):
        layer.intermediate.dense.weight.data[12:] = layer.intermediate.dense.weight.data[:12]
        layer.intermediate.dense.bias.data[12:] = layer.intermediate.dense.bias.data[:12]
        for name in ("query", "key", "value"):
            linear = getattr(layer.attention.self, name)
            linear.weight.data[8:] = linear.weight.data[:8]
            linear.bias.data[8:] = linear.bias.data[:8]
    original = copy.deepcopy(model)
    wanted = logits(original)
    for layer in bert_layers(model):
        keep_heads(layer, torch.tensor([0, 1]))
        keep_neurons(layer, torch.arange(12))
    assert (logits(model) - wanted).abs().max() > 0.1
    reconstruct(model, original, BATCHES, ridge=1e-9)
    torch.testing.assert_close(logits(model), wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kept", [None, torch.arange(16)])
def test_an_unpruned_model_is_left_as_it_is(model, kept):
    original = copy.deepcopy(model)
    reconstruct(model, original, BATCHES, kept)
    torch.testing.assert_close(logits(model), logits(original), atol=1e-4, rtol=0)


def test_what_a_twin_dimension_told_is_recovered_exactly(model):
    """Dimensions come in pairs of equals, which readers weigh differently; one of each pair goes.

    Mean and variance over one of each pair are those over both.
    """
    twin_dimensions(model)
    original = copy.deepcopy(model)
    wanted = logits(original)
    keep_hidden(model, torch.arange(8))
    assert (logits(model) - wanted).abs().max() > 0.1
    reconstruct(model, original, BATCHES, torch.arange(8), ridge=1e-9)
    torch.testing.assert_close(logits(model), wanted, atol=1e-3, rtol=0)


def twin_dimensions(model):
    """Let dimension d + 8 of the stream be dimension d, whatever the text."""
    for name, parameter in model.named_parameters():
        if name.startswith("classifier"):
            continue
        if "embeddings" in name or ".output." in name or "pooler" in name:
            written = parameter.T if name.endswith("dense.weight") else parameter
            if "LayerNorm" in name:
                written.data += torch.randn(16) * 0.2
            written.data[..., 8:] = written.data[..., :8]


def test_after_dimensions_went_norms_and_readers_are_least_squares_fits(model):
    original = copy.deepcopy(model)
    kept = torch.tensor([0, 2, 3, 5, 7, 8, 11, 13])
    keep_hidden(model, kept)
    rows = MASK.bool()
    with torch.no_grad():
        x = model.bert.embeddings(input_ids=IDS)[rows].double()
        wide = original.bert.embeddings(input_ids=IDS)[rows]
        y = wide[:, kept].double()
        wanted = bert_layers(original)[0].attention.self.key(wide).double()
    lines = [np.polyfit(x[:, d], y[:, d], 1) for d in range(8)]
    fitted = np.stack([np.polyval(line, x[:, d]) for d, line in enumerate(lines)], axis=1)
    inputs = np.hstack([fitted, np.ones((len(x), 1))])
    # What leaves a LayerNorm is linearly dependent, so that only the fitted keys are unique.
    keys = inputs @ np.linalg.lstsq(inputs, wanted.numpy(), rcond=1e-6)[0]
    reconstruct(model, original, BATCHES, kept, ridge=1e-6)
    with torch.no_grad():
        states = model.bert.embeddings(input_ids=IDS)[rows]
        found = bert_layers(model)[0].attention.self.key(states)
    np.testing.assert_allclose(states, fitted, atol=1e-4)
    np.testing.assert_allclose(found, keys, atol=1e-3)
    assert np.abs(keys - wanted.numpy()).max() > 0.1


def test_of_a_sub_layer_without_units_the_mean_stays(model):
    original = copy.deepcopy(model)
    for layer in bert_layers(model):
        keep_heads(layer, torch.arange(0))
        keep_neurons(layer, torch.arange(0))
    before = (logits(model) - logits(original)).square().mean()
    reconstruct(model, original, BATCHES)
    assert (logits(model) - logits(original)).square().mean() < before

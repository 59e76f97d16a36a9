import copy

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
)

from pocketbert.compress.errors import ModelError
from pocketbert.compress.surgery import (
    bert_layers,
    hidden_width,
    keep_heads,
    keep_hidden,
    keep_layers,
    keep_neurons,
    residual_blocks,
    shrink_to,
    widths_of,
)
from pocketbert.compress.word_factors import use_factors


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
    )
    return BertForSequenceClassification(config).eval()


IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 0, 0]])
MASK = (IDS != 0).long()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits


def test_removing_silenced_heads_changes_nothing(model):
    layer = bert_layers(model)[1]
    layer.attention.output.dense.weight.data[:, 8:16] = 0  # head 1 has no say any more
    before = logits(model)
    keep_heads(layer, torch.tensor([0, 2, 3]))
    assert layer.attention.self.query.out_features == 24
    torch.testing.assert_close(logits(model), before, atol=1e-6, rtol=0)


def test_removing_a_head_that_speaks_changes_the_logits(model):
    before = logits(model)
    keep_heads(bert_layers(model)[1], torch.tensor([0, 2, 3]))
    assert not torch.allclose(logits(model), before, atol=1e-6)


def test_removing_silenced_neurons_changes_nothing(model):
    layer = bert_layers(model)[0]
    kept = torch.arange(0, 48, 3)
    silent = torch.ones(48, dtype=torch.bool)
    silent[kept] = False
    layer.output.dense.weight.data[:, silent] = 0
    before = logits(model)
    keep_neurons(layer, kept)
    assert (layer.intermediate.dense.out_features, layer.output.dense.in_features) == (16, 16)
    torch.testing.assert_close(logits(model), before, atol=1e-6, rtol=0)


def test_a_sub_layer_without_units_is_its_bias(model):
    layer = bert_layers(model)[1]
    layer.attention.output.dense.weight.data.zero_()
    layer.output.dense.weight.data.zero_()
    before = logits(model)
    keep_heads(layer, torch.arange(0))
    keep_neurons(layer, torch.arange(0))
    torch.testing.assert_close(logits(model), before, atol=1e-6, rtol=0)
    assert widths_of(model)[1] == {"heads": 0, "neurons": 0}
    names = [name for name in model.state_dict() if name.startswith("bert.encoder.layer.1.")]
    assert len(names) == 6  # two biases and two LayerNorms


def test_chosen_layers_keep_their_order_and_weights(model):
    first, last = bert_layers(model)[0], bert_layers(model)[2]
    keep_layers(model, (0, 2))
    assert bert_layers(model) == [first, last]
    assert model.config.num_hidden_layers == 2
    assert logits(model).shape == (2, 2)


KEPT = torch.tensor([d for d in range(32) if d % 4])  # 24 of 32


class NormOf(torch.nn.Module):
    """A LayerNorm over some dimensions of a stream whose others it holds at 0."""

    def __init__(self, norm, kept):
        super().__init__()
        self.norm, self.kept = norm, kept

    def forward(self, states):
        norm, some = self.norm, states[..., self.kept]
        centred = some - some.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
        found = torch.zeros_like(states)
        found[..., self.kept] = scaled * norm.weight[self.kept] + norm.bias[self.kept]
        return found


def randomize(model):
    with torch.no_grad():  # equal initial biases and norms would hide a mix-up
        for parameter in model.parameters():
            parameter.normal_(std=0.3)


@pytest.mark.parametrize("rank", [None, 6])
def test_dimensions_that_the_norms_hold_at_0_can_be_removed(model, rank):
    """Exact for any weights, if mean and variance are taken over the kept dimensions."""
    if rank:
        use_factors(model, rank)
    randomize(model)
    unmasked = logits(model)
    narrow = copy.deepcopy(model)
    keep_hidden(narrow, KEPT)
    for block in residual_blocks(model):
        block.LayerNorm = NormOf(block.LayerNorm, KEPT)
    dense = model.bert.pooler.dense
    removed = [d for d in range(32) if d not in KEPT.tolist()]
    dense.weight.data[removed] = dense.bias.data[removed] = 0
    torch.testing.assert_close(logits(narrow), logits(model), atol=1e-5, rtol=0)
    assert (logits(narrow) - unmasked).abs().max() > 0.01
    assert hidden_width(narrow) == 24
    assert bert_layers(narrow)[0].attention.self.query.weight.shape == (32, 24)
    if rank:
        assert narrow.get_input_embeddings().basis.weight.shape == (24, 6)


def test_without_that_a_dimension_of_zeros_still_speaks_through_the_norms(model):
    randomize(model)
    removed = [d for d in range(32) if d not in KEPT.tolist()]
    for name, parameter in model.named_parameters():
        if "embeddings" in name or "output" in name or "pooler" in name:
            written = parameter.T if name.endswith("dense.weight") else parameter
            written.data[..., removed] = 0
    narrow = copy.deepcopy(model)
    keep_hidden(narrow, KEPT)
    assert (logits(narrow) - logits(model)).abs().max() > 1e-3


def test_one_of_two_equal_dimensions_can_be_removed_if_its_twin_speaks_for_both(model):
    """Mean and variance over one of each pair are those over both."""
    randomize(model)
    for name, parameter in model.named_parameters():
        if name.startswith("bert.pooler") or name.startswith("classifier"):
            continue
        if "embeddings" in name or ".output." in name:
            written = parameter.T if name.endswith("dense.weight") else parameter
            written.data[..., 16:] = written.data[..., :16]
    model.classifier.weight.data[:, 16:] = 0
    wanted = logits(model)
    for layer in bert_layers(model):
        attention = layer.attention.self
        for linear in (attention.query, attention.key, attention.value, layer.intermediate.dense):
            linear.weight.data[:, :16] += linear.weight.data[:, 16:]
    dense = model.bert.pooler.dense
    dense.weight.data[:, :16] += dense.weight.data[:, 16:]
    keep_hidden(model, torch.arange(16))
    torch.testing.assert_close(logits(model), wanted, atol=1e-5, rtol=0)


def test_a_narrow_stream_leaves_sub_layers_without_units_their_bias(model):
    randomize(model)
    keep_heads(bert_layers(model)[0], torch.arange(0))
    keep_neurons(bert_layers(model)[1], torch.arange(0))
    keep_hidden(model, KEPT)
    rebuilt = BertForSequenceClassification(model.config)
    keep_hidden(rebuilt, torch.arange(24))
    shrink_to(rebuilt, widths_of(model))
    rebuilt.load_state_dict(model.state_dict())
    torch.testing.assert_close(logits(rebuilt.eval()), logits(model), atol=0, rtol=0)


def test_shrink_to_rebuilds_recorded_widths(model):
    keep_heads(bert_layers(model)[0], torch.tensor([1]))
    keep_neurons(bert_layers(model)[2], torch.arange(8))
    keep_heads(bert_layers(model)[1], torch.arange(0))
    keep_neurons(bert_layers(model)[1], torch.arange(0))
    fresh = BertForSequenceClassification(model.config)
    shrink_to(fresh, widths_of(model))
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(logits(fresh.eval()), logits(model), atol=0, rtol=0)


def test_other_architectures_are_refused_with_the_way_out():
    config = MPNetConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=4)
    with pytest.raises(ModelError, match="'mpnet', expected 'bert'; distil into a BERT student"):
        bert_layers(MPNetForSequenceClassification(config))

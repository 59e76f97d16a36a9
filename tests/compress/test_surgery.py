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
    keep_heads,
    keep_hidden,
    keep_layers,
    keep_neurons,
    shrink_to,
    widths_of,
)


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


def test_narrow_stream_runs_and_reports_its_widths(model):
    keep_hidden(model, torch.arange(0, 32, 2))
    assert model.bert.embeddings.word_embeddings.weight.shape == (50, 16)
    assert logits(model).shape == (2, 2)


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

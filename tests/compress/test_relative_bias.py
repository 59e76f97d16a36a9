"""An MPNet as a BERT: the same answers, and pruned, saved and exported like one."""

import pytest
import torch
from transformers import MPNetConfig, MPNetForSequenceClassification

from pocketbert.compress.config import PruneConfig
from pocketbert.compress.folder import ModelDescription, load_model, load_tokenizer, save_model
from pocketbert.compress.prune import prune
from pocketbert.compress.relative_bias import BiasedSelfAttention, as_bert, relative_buckets
from pocketbert.compress.surgery import (
    bert_layers,
    keep_heads,
    keep_layers,
    keep_neurons,
    widths_of,
)
from pocketbert.deploy.export import export_onnx

BATCH = {
    "input_ids": torch.tensor([[0, 5, 9, 17, 30, 2], [0, 8, 7, 2, 1, 1]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
}


@pytest.fixture
def mpnet():
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40, initializer_range=0.3, num_labels=3,
    )  # fmt: skip
    model = MPNetForSequenceClassification(config)
    with torch.no_grad():  # equal initial biases and norms would hide a mix-up
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


@torch.no_grad()
def logits(model, batch=BATCH):
    return model(**batch).logits


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_same_answers(mpnet, attention):
    bert = as_bert(mpnet)
    bert.set_attn_implementation(attention)
    assert bert.config.model_type == "bert"
    torch.testing.assert_close(logits(bert), logits(mpnet), atol=1e-5, rtol=1e-5)
    long = {"input_ids": torch.randint(3, 60, (1, 38))}  # distances beyond the exact buckets
    torch.testing.assert_close(logits(bert, long), logits(mpnet, long), atol=1e-5, rtol=1e-5)


def test_the_bias_matters(mpnet):
    bert = as_bert(mpnet)
    for layer in bert_layers(bert):
        layer.attention.self.relative_attention_bias.weight.data.zero_()
    assert (logits(bert) - logits(mpnet)).abs().max() > 1e-2


def test_a_head_that_says_nothing_can_go_with_its_column(mpnet):
    bert = as_bert(mpnet)
    for layer in bert_layers(bert):  # the second head's output reaches nobody
        layer.attention.output.dense.weight.data[:, 8:16] = 0
    before = logits(bert)
    for layer in bert_layers(bert):
        keep_heads(layer, torch.tensor([0, 2, 3]))
    torch.testing.assert_close(logits(bert), before, atol=1e-5, rtol=1e-5)
    table = bert_layers(bert)[0].attention.self.relative_attention_bias
    assert (table.embedding_dim, table.weight.shape[1]) == (3, 3)


def test_a_pruned_one_reloads(mpnet, tiny_checkpoint, tmp_path):
    bert = as_bert(mpnet)
    keep_layers(bert, (0, 2))
    keep_heads(bert_layers(bert)[0], torch.tensor([1, 3]))
    keep_heads(bert_layers(bert)[1], torch.tensor([], dtype=torch.long))
    keep_neurons(bert_layers(bert)[1], torch.arange(16))
    description = ModelDescription(("a", "b", "c"), 32, widths_of(bert))
    save_model(bert, load_tokenizer(tiny_checkpoint), description, tmp_path)
    again = load_model(tmp_path)
    assert relative_buckets(again) == 32
    assert isinstance(bert_layers(again)[0].attention.self, BiasedSelfAttention)
    torch.testing.assert_close(logits(again), logits(bert))


def test_a_model_without_any_attention_left_reloads(mpnet, tiny_checkpoint, tmp_path):
    bert = as_bert(mpnet)
    for layer in bert_layers(bert):
        keep_heads(layer, torch.tensor([], dtype=torch.long))
    description = ModelDescription(("a", "b", "c"), 32, widths_of(bert))
    save_model(bert, load_tokenizer(tiny_checkpoint), description, tmp_path)
    torch.testing.assert_close(logits(load_model(tmp_path)), logits(bert))


def test_other_models_stay_as_they_are(tiny_checkpoint):
    from pocketbert.compress.folder import load_checkpoint

    model = load_checkpoint(tiny_checkpoint, ("a", "b"))
    assert as_bert(model) is model
    assert relative_buckets(model) is None


def test_an_mpnet_teacher_is_pruned_as_it_is(mpnet, tiny_checkpoint, tiny_data, tmp_path):
    tokenizer = load_tokenizer(tiny_checkpoint)
    mpnet.resize_token_embeddings(len(tokenizer))
    mpnet.config.pad_token_id = 1
    save_model(mpnet, tokenizer, ModelDescription(("bad", "good", "odd"), 32), tmp_path / "model")
    config = PruneConfig(
        heads=0.5, neurons=0.5, neuron_multiple=16, steps=2, reconstruction="least_squares",
        importance_examples=32,
    )  # fmt: skip
    for name in ("pruned", "onnx"):
        (tmp_path / name).mkdir()
    summary = prune(
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=tmp_path,
        teacher_outputs=None, out=tmp_path / "pruned",
    )  # fmt: skip
    assert sum(layer["heads"] for layer in summary["widths"]) == 6
    model = load_model(tmp_path / "pruned/model")
    biased = [module for module in model.modules() if isinstance(module, BiasedSelfAttention)]
    assert sum(module.relative_attention_bias.embedding_dim for module in biased) == 6
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=tmp_path / "pruned")  # proves parity

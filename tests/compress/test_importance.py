import gc

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from pocketbert.compress.batches import Collate, TokenizedExamples
from pocketbert.compress.importance import (
    fisher_importance,
    hidden_importance,
    keep_best_blocks,
)
from pocketbert.compress.surgery import bert_layers, residual_blocks


def test_best_blocks_of_the_whole_model_stay():
    scores = [torch.tensor([9.0, 8.0, 0.1, 0.2]), torch.tensor([0.3, 7.0, 6.0, 0.4])]
    first, second = keep_best_blocks(scores, units=4, block=2)
    assert (first.tolist(), second.tolist()) == ([0, 1], [1, 2])


def test_one_layer_may_lose_more_than_another_but_never_all():
    scores = [torch.tensor([9.0, 8.0, 7.0, 6.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])]
    first, second = keep_best_blocks(scores, units=5, block=1)
    assert (first.tolist(), second.tolist()) == ([0, 1, 2, 3], [3])


def test_widths_are_multiples_of_the_block():
    torch.manual_seed(0)
    kept = keep_best_blocks([torch.rand(1536) for _ in range(3)], units=0.4 * 3 * 1536, block=64)
    assert all(len(layer) % 64 == 0 for layer in kept)
    assert sum(map(len, kept)) == round(0.4 * 3 * 1536 / 64) * 64


def test_a_layer_smaller_than_a_block_is_refused():
    with pytest.raises(ValueError, match="layer 0 has 8 units, expected at least 64"):
        keep_best_blocks([torch.rand(8)], units=4, block=64)


def test_scores_are_the_fisher_information_of_a_mask(tiny_checkpoint):
    """The oracle multiplies each head and neuron by a mask of ones and differentiates that."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(
        tiny_checkpoint, num_labels=3, num_hidden_layers=2, initializer_range=0.2
    )
    model = BertForSequenceClassification(config).eval()
    ids = tokenizer(["a bright film", "the plot is dull and very messy"])["input_ids"]
    copies = 1000  # the estimate is random, its mean is the oracle
    examples = TokenizedExamples(ids, [0, 1])
    batch = Collate(tokenizer.pad_token_id)([examples[0], examples[1]] * copies)
    heads, neurons = fisher_importance(model, [batch])

    expected_heads, expected_neurons = torch.zeros(4), torch.zeros(64)
    for row in range(2):
        head_mask = torch.ones(4, requires_grad=True)
        neuron_mask = torch.ones(64, requires_grad=True)
        layer = bert_layers(model)[1]
        handles = [
            layer.attention.output.dense.register_forward_pre_hook(
                lambda _, x, mask=head_mask: x[0] * mask.repeat_interleave(8)
            ),
            layer.output.dense.register_forward_pre_hook(
                lambda _, x, mask=neuron_mask: x[0] * mask
            ),
        ]
        log_p = model(input_ids=torch.tensor([ids[row]])).logits[0].log_softmax(-1)
        for one in log_p:
            gradients = torch.autograd.grad(one, [head_mask, neuron_mask], retain_graph=True)
            expected_heads += one.exp().detach() * gradients[0].square()
            expected_neurons += one.exp().detach() * gradients[1].square()
        for handle in handles:
            handle.remove()
    torch.testing.assert_close(heads[1] / copies, expected_heads, atol=0, rtol=0.1)
    torch.testing.assert_close(neurons[1] / copies, expected_neurons, atol=0, rtol=0.1)


def test_scores_of_dimensions_are_the_fisher_information_of_one_mask_on_all_norms(tiny_checkpoint):
    """The oracle multiplies every LayerNorm's output by one mask and differentiates that."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(
        tiny_checkpoint, num_labels=3, num_hidden_layers=2, initializer_range=0.2
    )
    model = BertForSequenceClassification(config).eval()
    ids = tokenizer(["a bright film", "the plot is dull and very messy"])["input_ids"]
    copies = 1000  # the estimate is random, its mean is the oracle
    examples = TokenizedExamples(ids, [0, 1])
    batch = Collate(tokenizer.pad_token_id)([examples[0], examples[1]] * copies)
    found = hidden_importance(model, [batch])

    expected = torch.zeros(32)
    mask = torch.ones(32, requires_grad=True)
    handles = [
        block.LayerNorm.register_forward_hook(lambda *found: found[-1] * mask)
        for block in residual_blocks(model)
    ]
    for row in range(2):
        log_p = model(input_ids=torch.tensor([ids[row]])).logits[0].log_softmax(-1)
        for one in log_p:
            gradient = torch.autograd.grad(one, mask, retain_graph=True)[0]
            expected += one.exp().detach() * gradient.square()
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(found / copies, expected, atol=1e-8, rtol=0.1)
    again = hidden_importance(model, [batch])
    assert torch.equal(found, again)  # nothing is left on the model


def test_no_activation_outlives_the_measurement(tiny_checkpoint):
    model = BertForSequenceClassification(BertConfig.from_pretrained(tiny_checkpoint)).eval()
    batch = {name: torch.ones(2, 8, dtype=torch.long) for name in ("input_ids", "attention_mask")}

    def tensors() -> int:
        gc.collect()
        return sum(type(found) is torch.Tensor for found in gc.get_objects())

    for measure in (fisher_importance, hidden_importance):
        measure(model, [batch])
        before = tensors()
        measure(model, [batch] * 5)
        assert tensors() == before

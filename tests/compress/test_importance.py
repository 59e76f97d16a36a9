import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from pocketbert.compress.batches import TokenizedExamples
from pocketbert.compress.importance import fisher_importance, keep_best_blocks
from pocketbert.compress.surgery import bert_layers


def test_best_blocks_of_the_whole_model_stay():
    scores = [torch.tensor([9.0, 8.0, 0.1, 0.2]), torch.tensor([0.3, 7.0, 6.0, 0.4])]
    first, second = keep_best_blocks(scores, keep=0.5, block=2)
    assert (first.tolist(), second.tolist()) == ([0, 1], [1, 2])


def test_one_layer_may_lose_more_than_another_but_never_all():
    scores = [torch.tensor([9.0, 8.0, 7.0, 6.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])]
    first, second = keep_best_blocks(scores, keep=0.625, block=1)
    assert (first.tolist(), second.tolist()) == ([0, 1, 2, 3], [3])


def test_widths_are_multiples_of_the_block():
    torch.manual_seed(0)
    kept = keep_best_blocks([torch.rand(1536) for _ in range(3)], keep=0.4, block=64)
    assert all(len(layer) % 64 == 0 for layer in kept)
    assert sum(map(len, kept)) == round(0.4 * 3 * 1536 / 64) * 64


def test_a_layer_smaller_than_a_block_is_refused():
    with pytest.raises(ValueError, match="layer 0 has 8 units, expected at least 64"):
        keep_best_blocks([torch.rand(8)], keep=0.5, block=64)


def test_scores_equal_the_squared_gradient_of_a_mask(tiny_checkpoint):
    """The oracle multiplies each head and neuron by a mask of ones and differentiates that."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(tiny_checkpoint, num_labels=2, num_hidden_layers=2)
    model = BertForSequenceClassification(config).eval()
    ids = tokenizer(["a bright film", "the plot is dull and very messy"])["input_ids"]
    teacher = torch.tensor([[0.2, 1.0], [2.0, -1.0]])
    examples = TokenizedExamples(ids, [0, 1], {"teacher_logits": teacher})
    heads, neurons = fisher_importance(model, examples, [0, 1], tokenizer)

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
        logits = model(input_ids=torch.tensor([ids[row]])).logits
        loss = -(teacher[row].softmax(-1) * logits.log_softmax(-1)).sum()
        head_gradient, neuron_gradient = torch.autograd.grad(loss, [head_mask, neuron_mask])
        expected_heads += head_gradient.square()
        expected_neurons += neuron_gradient.square()
        for handle in handles:
            handle.remove()
    torch.testing.assert_close(heads[1], expected_heads, atol=1e-7, rtol=1e-3)
    torch.testing.assert_close(neurons[1], expected_neurons, atol=1e-7, rtol=1e-3)

"""Scores that a training learns: their formulas, what they find, and that a kill costs nothing."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from pocketbert.compress.batches import Collate, tokenize
from pocketbert.compress.block_movement import MovementMask
from pocketbert.compress.config import (
    LogitsConfig,
    ObjectivesConfig,
    PruneConfig,
    ScoresConfig,
    TrainingConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_model, load_tokenizer
from pocketbert.compress.importance import keep_best_blocks
from pocketbert.compress.l0_gates import HardConcreteGates, SparsityLagrangian
from pocketbert.compress.learned_scores import SCORERS, learn_scores
from pocketbert.compress.lesson import Lesson
from pocketbert.compress.prune import prune
from pocketbert.compress.surgery import bert_layers, widths_of
from pocketbert.compress.teacher_outputs import load_teacher_outputs
from pocketbert.compress.unit_masks import add_masks, remove_masks
from pocketbert.deploy.export import export_onnx

LOGITS = ObjectivesConfig(logits=LogitsConfig(weight=1.0))
VITAL_HEADS = ((1, 3), (0, 2))


def config_of(method: Any, epochs: float, reached: float = 0.5, **prune: Any) -> PruneConfig:
    training = TrainingConfig(
        epochs=epochs, learning_rate=1e-4, batch_size=16, precision="float32", dropout=0.0
    )
    scores = ScoresConfig(
        method=method, gate_learning_rate=0.1 if method == "l0" else None, reached=reached,
        training=training, objectives=LOGITS,
    )  # fmt: skip
    amount: dict[str, Any] = {"heads": 0.5, "neurons": 0.75, "neuron_multiple": 8}
    return PruneConfig(**amount | prune, scores=scores)


def test_chance_of_a_gate_to_be_open_is_the_closed_formula():
    gates = HardConcreteGates(5)
    gates.log_alpha.data = torch.tensor([-4.0, -1.5, 0.0, 1.0, 4.0])
    torch.manual_seed(0)
    drawn = gates.factors(100_000)
    assert drawn.min() == 0
    assert drawn.max() == 1
    torch.testing.assert_close((drawn > 0).float().mean(0), gates.scores(), atol=5e-3, rtol=0)


def test_gates_begin_open_and_texts_have_draws_of_their_own():
    gates = HardConcreteGates(64)
    assert gates.scores().min() > 0.98
    first, second = gates.factors(2)
    assert (first != second).any()
    assert torch.equal(gates.eval()(torch.ones(2, 3, 128)), torch.ones(2, 3, 128))


def test_multipliers_climb_while_gates_give_way():
    gates = HardConcreteGates(10)
    gates.log_alpha.data.zero_()
    lagrangian = SparsityLagrangian([gates], target=0.8, reached=0.5)
    lagrangian.first.data.fill_(-2.0)
    lagrangian.second.data.fill_(3.0)
    shut = 1 - gates.scores()[0].item()
    miss = shut - 0.4  # a quarter of the training is done, half of the way to the target
    cost = lagrangian(0.25)
    assert cost.item() == pytest.approx(-2.0 * miss + 3.0 * miss**2, abs=1e-5)
    assert lagrangian(0.9).item() == pytest.approx(
        -2 * (shut - 0.8) + 3 * (shut - 0.8) ** 2, abs=1e-5
    )
    cost.backward()
    assert lagrangian.first.grad.item() == pytest.approx(-miss, abs=1e-5)
    assert lagrangian.second.grad.item() == pytest.approx(-(miss**2), abs=1e-5)
    slope = shut * (1 - shut) / 10 * -(-2.0 + 2 * 3.0 * miss)
    torch.testing.assert_close(gates.log_alpha.grad, torch.full((10,), slope))


def test_movement_is_that_of_all_weights_that_lead_out_of_a_unit():
    torch.manual_seed(0)
    dense = nn.Linear(12, 5)
    mask = MovementMask(4)
    mask.kept[1] = 0  # a unit that is off moves as well
    expected = torch.zeros(4)
    for _ in range(2):
        inputs, target = torch.randn(3, 2, 12), torch.randn(3, 2, 5)
        (dense(mask(inputs)) - target).square().mean().backward()
        mask.add_movement()
        # The same loss as a function of the weights behind the units that are on and off.
        whole = nn.Linear(12, 5)
        whole.load_state_dict(dense.state_dict())
        on = mask.kept.repeat_interleave(3)
        scaled = (dense.weight * on).detach().requires_grad_()
        (inputs @ scaled.T + dense.bias - target).square().mean().backward()
        expected -= (dense.weight.detach() * scaled.grad).view(5, 4, 3).sum((0, 2))
        dense.zero_grad()
    torch.testing.assert_close(mask.scores(), expected)


@pytest.mark.parametrize("make", [HardConcreteGates, MovementMask])
def test_masks_take_single_units_out_and_leave_no_trace(make, student):
    model = load_model(student[0] / "model")
    ids = torch.tensor([[2, 40, 41, 42, 3]])
    names = set(model.state_dict())
    with torch.no_grad():
        before = model(input_ids=ids).logits
        heads, neurons = add_masks(model, make)
        model.eval()
        assert torch.equal(model(input_ids=ids).logits, before)
        heads[0].kept[2] = 0
        neurons[1].kept[5:40] = 0
        masked = model(input_ids=ids).logits
        remove_masks(model)
        assert set(model.state_dict()) == names
        assert torch.equal(model(input_ids=ids).logits, before)
        layers = bert_layers(model)
        layers[0].attention.output.dense.weight[:, 16:24] = 0
        layers[1].output.dense.weight[:, 5:40] = 0
        torch.testing.assert_close(masked, model(input_ids=ids).logits)


@torch.no_grad()
def planted(folder):
    """A model in which two heads of each layer and its last 16 neurons carry the answer alone."""
    torch.manual_seed(0)
    model = load_model(folder)
    for layer, vital in zip(bert_layers(model), VITAL_HEADS, strict=True):
        heads, neurons = layer.attention.output.dense, layer.output.dense
        for dense in (heads, neurons):
            dense.weight.normal_(std=0.5)
        for head in set(range(4)) - set(vital):
            heads.weight[:, head * 8 : head * 8 + 8] = 0
        neurons.weight[:, :48] = 0
    return model


@torch.no_grad()
def answers(model, tokenizer, data, split):
    examples = tokenize(load_split(data, split), tokenizer, 32)
    batch = Collate(tokenizer.pad_token_id)([examples[row] for row in range(len(examples))])
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


@pytest.mark.parametrize("method", SCORERS)
def test_silent_units_go_and_those_that_answer_stay(method, student, outputs, tiny_data, tmp_path):
    """The planted model is its own teacher."""
    model, tokenizer = planted(student[0] / "model"), load_tokenizer(student[0] / "model")
    teacher_outputs = dataclasses.replace(
        load_teacher_outputs(outputs),
        logits=answers(model, tokenizer, tiny_data, "train").numpy(),
        validation_logits=answers(model, tokenizer, tiny_data, "validation").numpy(),
    )
    lesson = Lesson(0, tiny_data, tiny_data, teacher_outputs)
    found = learn_scores(model, tokenizer, config_of(method, epochs=10), lesson, tmp_path)
    heads = keep_best_blocks(found.heads, 4, block=1)
    assert [tuple(layer.tolist()) for layer in heads] == list(VITAL_HEADS)
    neurons = torch.cat(keep_best_blocks(found.neurons, 32, block=8))
    # Not all of them say much; by chance 8 would be kept.
    assert int((neurons >= 48).sum()) >= 14
    if method == "l0":  # the constraint holds
        assert 1 - torch.cat(found.heads).mean().item() == pytest.approx(0.5, abs=0.05)
        assert 1 - torch.cat(found.neurons).mean().item() == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize("method", SCORERS)
@pytest.mark.parametrize("layers", [0, 1])
def test_scores_decide_what_is_pruned_and_nothing_else_is_left(
    method, layers, student, outputs, tiny_data, tmp_path, training, objectives
):
    for name in ("pruned", "onnx"):
        (tmp_path / name).mkdir()
    soft = dataclasses.replace(objectives, hidden=None)
    config = config_of(method, epochs=2, layers=layers, objectives=soft, training=training)
    summary = prune(
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=outputs, out=tmp_path / "pruned",
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "pruned").iterdir()] == ["model"]
    model = load_model(tmp_path / "pruned/model")
    assert summary["widths"] == widths_of(model)
    assert sum(width["heads"] for width in summary["widths"]) == 4 // (1 + layers)
    assert sum(width["neurons"] for width in summary["widths"]) == 32 // (1 + layers)
    assert summary["scores"]["method"] == method
    assert summary["scores"]["steps"] > 0
    assert summary["validation_accuracy"] > 0.9
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=tmp_path / "pruned")  # proves parity


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neuron_multiple": 65}, "prune.neuron_multiple is 65 but a layer has 64 neurons"),
        (
            {"reached": 0.99},
            "prune.scores.reached is 0.99 and the last evaluation is at step 24 of 29",
        ),
    ],
)
def test_what_cannot_end_well_is_refused_before_training(
    changes, said, student, outputs, tiny_data, tmp_path
):
    with pytest.raises(ModelError, match=said):
        prune(
            config=config_of("movement", epochs=1.2, **changes), seed=0, data=tiny_data,
            examples=tiny_data, student=student[0], teacher_outputs=outputs, out=tmp_path,
        )  # fmt: skip
    assert not list(tmp_path.glob("scores/checkpoints/checkpoint-*"))


SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import *
    from pocketbert.compress.prune import prune
    training = TrainingConfig(
        epochs=3, learning_rate=1e-3, batch_size=16, precision="float32", evaluations_per_epoch=1
    )
    method, *folders = sys.argv[1:]
    scores = ScoresConfig(
        method=method, gate_learning_rate=0.2 if method == "l0" else None, training=training
    )
    config = PruneConfig(
        heads=0.5, neurons=0.5, neuron_multiple=8, scores=scores, training=training,
        objectives=ObjectivesConfig(logits=LogitsConfig(weight=1.0)),
    )
    student, outputs, data, out = map(Path, folders)
    prune(
        config=config, seed=0, data=data, examples=data, student=student, teacher_outputs=outputs,
        out=out,
    )
"""


@pytest.mark.parametrize("method", SCORERS)
def test_killed_in_either_training_it_ends_with_the_same_bytes(
    method, student, outputs, tiny_data, whole_and_killed
):
    checkpoints = ("scores/checkpoints", "checkpoints")
    whole, killed, _ = whole_and_killed(
        SCRIPT, method, student[0], outputs, tiny_data, checkpoints=checkpoints
    )
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()

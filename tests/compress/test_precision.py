import json

import torch
from torch import nn

from pocketbert.compress.precision import choose_precision


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.calls = 0

    def forward(self, inputs):
        self.calls += 1
        return {"loss": self.linear(inputs).sum()}


BATCH = {"inputs": torch.ones(2, 4)}


def test_what_the_recipe_asks_for_is_taken_without_measuring(tmp_path):
    model = Model()
    assert choose_precision("bfloat16", model, BATCH, tmp_path) == "bfloat16"
    assert model.calls == 0


def test_the_first_choice_is_kept_for_a_resumed_training(tmp_path):
    first = choose_precision("auto", Model(), BATCH, tmp_path / "checkpoints")
    record = tmp_path / "checkpoints/precision.json"
    assert json.loads(record.read_text())["precision"] == first
    other = {"float32": "bfloat16", "bfloat16": "float32"}[first]
    record.write_text(json.dumps({"precision": other}))
    assert choose_precision("auto", Model(), BATCH, tmp_path / "checkpoints") == other


def test_measuring_leaves_no_gradient(tmp_path, monkeypatch):
    monkeypatch.setattr("pocketbert.compress.precision._has_bfloat16", lambda: True)
    model = Model()
    assert choose_precision("auto", model, BATCH, tmp_path) in ("float32", "bfloat16")
    assert model.calls == 6
    assert model.linear.weight.grad is None

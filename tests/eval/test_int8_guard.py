import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.data import load_split
from pocketbert.compress.folder import ModelDescription, load_tokenizer, save_model
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.graph import weight_matmuls
from pocketbert.deploy.placement import quantizable_matmuls, quantized_layers
from pocketbert.deploy.quantize import quantize
from pocketbert.deploy.smoothquant import smooth_layer_norms, smoothable
from pocketbert.eval.int8_guard import guard_int8
from pocketbert.eval.int8_trial import Trial

LABELS = ("bad", "good")
# max_drop of 0.03 is two of the 90 validation texts.
CONFIG = QuantizeConfig(guard=GuardConfig(max_drop=0.03, texts=64))


@pytest.fixture(scope="module")
def friendly(tiny_checkpoint, tiny_data, tmp_path_factory):
    """An exported random model, and data whose labels are its own answers."""
    root = tmp_path_factory.mktemp("friendly")
    torch.manual_seed(3)
    tokenizer = load_tokenizer(tiny_checkpoint)
    shape = {"num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64}
    config = BertConfig(
        vocab_size=300, hidden_size=64, intermediate_size=128, initializer_range=0.2, **shape
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(8)  # few texts near the border
    save_model(model, tokenizer, ModelDescription(LABELS, 32), root / "model")
    exported, data = root / "exported", root / "data"
    exported.mkdir()
    shutil.copytree(tiny_data, data)
    export_onnx(out=exported, data=data, model=root)
    texts = load_split(data, "validation").texts
    answers = Engine.from_onnx(exported, LABELS, 32).logits(texts).argmax(1).tolist()
    assert 10 < sum(answers) < len(answers) - 10
    rows = [json.dumps({"text": t, "label": a}) for t, a in zip(texts, answers, strict=True)]
    (data / "validation.jsonl").write_text("\n".join(rows))
    return exported, data


@pytest.fixture(scope="module")
def hostile(friendly, tmp_path_factory):
    """The same function with a channel 10,000 times as large in what two layers read."""
    folder = tmp_path_factory.mktemp("hostile")
    model = onnx.load(friendly[0] / "model.onnx")
    norms = [node.output[0] for node in smoothable(model)]
    channels = {name: np.ones(64, dtype=np.float32) for name in norms}
    for name in (norms[1], norms[2]):
        channels[name][5] = 1e-4
    planted = [
        tuple(node.name for node in quantizable_matmuls(model) if node.input[0] == name)
        for name in (norms[1], norms[2])
    ]
    smooth_layer_norms(model, channels, alpha=1.0)
    onnx.save(model, folder / "model.onnx")
    shutil.copy(friendly[0] / "tokenizer.json", folder)
    return folder, friendly[1], planted


def stages(exported, data, root, config):
    """Calibrate and quantize; return what the guard reads."""
    for name in ("calibrated", "quantized", "guarded"):
        (root / name).mkdir()
    calibrate(out=root / "calibrated", examples=64, data=data, exported=exported)
    given = {"calibrated": root / "calibrated", "exported": exported}
    quantize(out=root / "quantized", config=replace(config, guard=None), **given)
    return {"out": root / "guarded", "data": data, "quantized": root / "quantized"} | given


def test_planted_layers_go_back_and_no_others(hostile, tmp_path):
    exported, data, planted = hostile
    assert [len(operators) for operators in planted] == [1, 3]  # the block, and the next layer
    found = guard_int8(config=CONFIG, **stages(exported, data, tmp_path, CONFIG))
    assert found["float_accuracy"] == 1.0
    assert found["steps"][0]["accuracy"] < 0.9
    assert {step["operators"] for step in found["steps"][1:]} == set(planted)
    assert found["returned"] == 2
    assert found["layers"] == 14  # three layers of four, the last of five, and the pooler
    assert found["holds"]
    assert found["steps"][-1]["accuracy"] >= 0.97
    assert 0.2 < found["p50_ratio_to_int8"] < 10
    assert 0.1 < found["p50_ratio_to_float"] < 10
    model = onnx.load(tmp_path / "guarded/model.onnx")
    in_float = {node.name for node in weight_matmuls(model)} - {"classifier"}
    assert {name for operators in planted for name in operators} <= in_float
    ranges = json.loads((tmp_path / "guarded/calibration.json").read_text())
    assert len(ranges) == 14 - 2
    assert json.loads((tmp_path / "guarded/guard.json").read_text())["returned"] == 2
    assert {path.name for path in (tmp_path / "guarded").iterdir()} == {
        "model.onnx",
        "calibration.json",
        "guard.json",
    }


def test_where_the_gate_holds_at_once_nothing_changes(friendly, tmp_path):
    given = stages(*friendly, tmp_path, CONFIG)
    found = guard_int8(config=CONFIG, **given)
    assert (found["returned"], len(found["steps"]), found["holds"]) == (0, 1, True)
    assert "p50_ratio_to_int8" not in found
    for name in ("model.onnx", "calibration.json"):
        assert (given["out"] / name).read_bytes() == (given["quantized"] / name).read_bytes()


def test_a_gate_on_agreement_counts_as_well(hostile, tmp_path):
    exported, data, planted = hostile
    config = replace(CONFIG, guard=GuardConfig(max_drop=0.99, min_agreement=0.97, texts=64))
    found = guard_int8(config=config, **stages(exported, data, tmp_path, config))
    assert {step["operators"] for step in found["steps"][1:]} == set(planted)
    assert found["steps"][0]["agreement"] < 0.97 <= found["steps"][-1]["agreement"]


def test_harm_is_that_of_one_layer_alone(hostile, tmp_path):
    exported, data, planted = hostile
    given = stages(exported, data, tmp_path, CONFIG)
    trial = Trial(tmp_path, CONFIG, data, exported, given["calibrated"])
    everything = {name for layer in quantized_layers(trial.model, CONFIG) for name in layer}
    harms = {
        layer: trial.divergence(everything - set(layer), texts=64)
        for layer in quantized_layers(trial.model, CONFIG)
    }
    others = [harm for layer, harm in harms.items() if layer not in planted]
    assert min(harms[layer] for layer in planted) > 10 * max(others)
    # With all products in float only the word table is in INT8, which is next to nothing.
    assert abs(trial.divergence(everything, texts=64)) < 0.1 * min(harms[p] for p in planted)

import json
from dataclasses import replace

import onnx

from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.graph import weight_matmuls
from pocketbert.deploy.placement import quantized_layers
from pocketbert.deploy.quantize import quantize
from pocketbert.eval.int8_guard import guard_int8
from pocketbert.eval.int8_trial import Trial

# 0.03 is two of the 90 validation texts. Weights of 7 bits, for processors without VNNI, lose 6 of
# this random model's by themselves.
MAX_DROP = 0.08 if available_isas()[0] == "x86_64" else 0.03
CONFIG = QuantizeConfig(guard=GuardConfig(max_drop=MAX_DROP, texts=64))


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
    assert found["steps"][-1]["accuracy"] >= 1 - MAX_DROP
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
    least = 1 - MAX_DROP
    config = replace(CONFIG, guard=GuardConfig(max_drop=0.99, min_agreement=least, texts=64))
    found = guard_int8(config=config, **stages(exported, data, tmp_path, config))
    assert {step["operators"] for step in found["steps"][1:]} == set(planted)
    assert found["steps"][0]["agreement"] < least <= found["steps"][-1]["agreement"]


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

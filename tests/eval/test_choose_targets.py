import shutil

import numpy as np
import onnx
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import ChooseConfig, CompileConfig, QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.selftest import selftest
from pocketbert.eval.choose_targets import PUBLISHED, Tried, choose_targets, judge

QUICK = {"texts": 4, "rounds": 2}


def row(name, p50_ms, agreement=1.0, precision="int8"):
    return Tried(
        name=name,
        precision=precision,
        float_precision="float32",
        agreement=agreement,
        accuracy=0.8,
        p50_ms=p50_ms,
        bytes=1,
        int8_matmuls=1,
        float_weight_matmuls=0,
    )


def verdicts(rows, **config):
    p50_by_round_ms = {one.name: np.full(3, one.p50_ms) for one in rows}
    return {one.name: one.verdict for one in judge(rows, p50_by_round_ms, ChooseConfig(**config))}


def test_the_front_is_published_fastest_first():
    rows = [
        row("float", 2.0, 1.0, "float32"),
        row("int8", 1.0, 0.99),
        row("slow and worse", 1.5, 0.985),
    ]
    found = verdicts(rows)
    assert list(found) == ["int8", "slow and worse", "float"]
    assert found["int8"] == found["float"] == PUBLISHED
    assert found["slow and worse"] == "slower than int8, which agrees as well"


def test_int8_that_hardly_beats_16_bits_is_not_published():
    rows = [row("bf16", 1.01, 0.999, "bfloat16"), row("int8", 1.0, 0.999)]
    assert verdicts(rows) == {"int8": "1.01x bf16, less than 1.02x", "bf16": PUBLISHED}
    assert verdicts(rows, min_gain=1.005)["int8"] == PUBLISHED


def test_the_gain_is_the_median_of_ratios_within_rounds():
    rows = [row("float", 3.0, 1.0, "float32"), row("int8", 2.0, 0.99)]
    # The machine was slow in one round of one of them only: medians would say 1.5x.
    by_round = {"float": np.array([2.0, 3.0, 4.0]), "int8": np.array([2.0, 3.0, 1.0])}
    assert judge(rows, by_round, ChooseConfig())[0].verdict == "1.00x float, less than 1.02x"


def test_what_disagrees_is_not_published_however_fast():
    rows = [row("float", 2.0, 1.0, "float32"), row("int8", 0.5, 0.9)]
    found = verdicts(rows)
    assert found["int8"] == "agrees with the float model on less than 0.98"
    assert found["float"] == PUBLISHED


def test_what_disagrees_is_no_baseline_either():
    rows = [row("wrong", 0.4, 0.5, "float32"), row("int8", 0.5, 0.99)]
    assert verdicts(rows)["int8"] == PUBLISHED


@pytest.fixture(scope="module")
def compiled(tmp_path_factory, tiny_data, tiny_checkpoint, to_int8):
    from pocketbert.compress.data import load_description
    from pocketbert.compress.folder import (
        ModelDescription,
        load_checkpoint,
        load_tokenizer,
        save_model,
    )

    root = tmp_path_factory.mktemp("auto")
    description = load_description(tiny_data)
    save_model(
        load_checkpoint(tiny_checkpoint, description.labels),
        load_tokenizer(tiny_checkpoint),
        ModelDescription(description.labels, description.max_length),
        root / "student" / "model",
    )
    for name in ("exported", "quantized", "dynamic", "compiled"):
        (root / name).mkdir()
    export_onnx(out=root / "exported", data=tiny_data, model=root / "student")
    for name, config in (
        ("quantized", QuantizeConfig(calibration_examples=16)),
        ("dynamic", QuantizeConfig(calibration_examples=16, method="dynamic")),
    ):
        to_int8(out=root / name, config=config, data=tiny_data, exported=root / "exported")
    summary = compile_bundle(
        out=root / "compiled",
        config=CompileConfig(target="auto"),
        data=tiny_data,
        exported=root / "exported",
        quantized=root / "quantized",
        dynamic=root / "dynamic",
        lineage={},
        name="tiny",
    )
    return root, summary


def chosen(compiled, data, out, **config):
    root, _ = compiled
    return choose_targets(
        out=out,
        config=ChooseConfig(**QUICK, **config),
        threads=1,
        data=data,
        exported=root / "exported",
        compiled=root / "compiled",
    )


def test_auto_builds_int8_and_float_with_and_without_fusions(compiled):
    assert {
        "onnxruntime-int8",
        "onnxruntime-int8-all-fusions",
        "onnxruntime-int8-dynamic",
        "openvino-int8",
        "openvino-float",
        "onnxruntime-float",
        "onnxruntime-float-all-fusions",
    } <= set(compiled[1]["targets"])


def test_the_chosen_bundle_holds_what_was_published_and_works(compiled, tiny_data, tmp_path):
    summary = chosen(compiled, tiny_data, tmp_path, min_agreement=0.9, min_gain=1)
    bundle = read_bundle(tmp_path / "bundle")
    names = [target.name for target in bundle.manifest.targets]
    tried = {one["name"]: one for one in summary["tried"]}
    assert set(tried) == set(compiled[1]["targets"])
    assert names == [name for name in tried if tried[name]["verdict"] == PUBLISHED]
    assert names[0] == summary["target"]
    assert tried["onnxruntime-float"]["agreement"] == 1.0
    assert summary["p50_ms"] == tried[names[0]]["p50_ms"] == min(tried[n]["p50_ms"] for n in names)
    assert Engine.open(tmp_path / "bundle").describe().startswith(f"{names[0]}:")
    for name in names:
        assert selftest(tmp_path / "bundle", name).passed
    folders = {path.name for path in (tmp_path / "bundle").iterdir() if path.is_dir()}
    assert folders == {target.path.split("/")[0] for target in bundle.manifest.targets}


def test_when_no_target_agrees_nothing_is_written(compiled, tiny_data, tmp_path):
    root, _ = compiled
    model = onnx.load_model(root / "exported" / "model.onnx")
    for node in model.graph.node:  # a float model that says the opposite
        node.output[:] = ["kept" if name == "logits" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Neg", ["kept"], ["logits"]))
    opposite = shutil.copytree(root / "exported", tmp_path / "opposite")
    onnx.save_model(model, opposite / "model.onnx")
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match=r"no target gives at least 0\.98 of the validation"):
        choose_targets(
            out=tmp_path / "out",
            config=ChooseConfig(texts=4, rounds=2),
            threads=1,
            data=tiny_data,
            exported=opposite,
            compiled=root / "compiled",
        )
    assert not list((tmp_path / "out").iterdir())

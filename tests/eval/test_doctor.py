"""Faults planted in engines, and what the doctor says about each."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper

from pocketbert.compress.errors import UserError
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.float_edits import MASK_VALUE
from pocketbert.deploy.graph import add_constant, constants, readers
from pocketbert.deploy.int8_edits import shift_zero_points
from pocketbert.deploy.quantize import quantize
from pocketbert.eval.doctor.accuracy import examine_accuracy
from pocketbert.eval.doctor.case import case_of_onnx, cases_of_bundle
from pocketbert.eval.doctor.examine import examine, read_examination, write_examination
from pocketbert.eval.doctor.numerics import examine_numerics
from pocketbert.eval.doctor.speed import examine_speed

TEXTS = ["a bright film", "dull", "the story is very lovely and a very moving plot with actors"]
x86 = pytest.mark.skipif(available_isas()[0] == "arm64", reason="kernels of x86-64")


@pytest.fixture(scope="module")
def hostile_run(hostile, tmp_path_factory):
    """A run's results and its cache, as far as the doctor reads them."""
    exported, data, planted = hostile
    root = tmp_path_factory.mktemp("work")
    stages = root / "stages"
    for name in ("calibrate-0", "quantize-0"):
        (stages / name).mkdir(parents=True)
    shutil.copytree(data, stages / "data-0")
    shutil.copytree(exported, stages / "export-0")
    config = QuantizeConfig(calibration_examples=64)
    given = {"exported": stages / "export-0", "data": stages / "data-0"}
    calibrate(out=stages / "calibrate-0", examples=64, **given)
    quantize(
        out=stages / "quantize-0",
        config=config,
        calibrated=stages / "calibrate-0",
        exported=stages / "export-0",
    )
    params = {"config": {"calibration_examples": 64}, "calibrated": "calibrate-0"}
    record = {"params": params | {"exported": "export-0"}}
    (stages / "quantize-0/stage.json").write_text(json.dumps(record))
    (root / "mine").mkdir()
    names = {"data": "0", "quantize": "0"}
    (root / "mine/run.json").write_text(json.dumps({"recipe": "mine", "stages": names}))
    return root / "mine", planted


@pytest.fixture(scope="module")
def canonical(hostile_run):
    """INT8 as TensorRT wants it: activations are int8."""
    return hostile_run[0].parent / "stages/quantize-0/model.onnx"


def opened(model, folder, tokenizer):
    onnx.save(model, folder / "other.onnx")
    shutil.copy(tokenizer, folder)
    return case_of_onnx(folder / "other.onnx", folder / "tokenizer.json", TEXTS)


def kinds(findings):
    return {finding.kind for finding in findings}


@x86
def test_signed_activations_are_named_and_the_remedy_cures_them(canonical, friendly, tmp_path):
    tokenizer = friendly[0] / "tokenizer.json"
    model = onnx.load(canonical)
    sick = examine_speed(opened(model, tmp_path, tokenizer))
    found = next(one for one in sick.findings if one.kind == "signed_activations")
    assert found.figures["in_float"] >= 8  # query, key and value share what they read
    assert "compile.isa: auto" in found.remedy
    shift_zero_points(model)
    cured = examine_speed(opened(model, tmp_path, tokenizer))
    assert "signed_activations" not in kinds(cured.findings)
    assert cured.int8_products > sick.int8_products
    assert cured.int8_products + cured.float_products == 20


def test_a_float_model_has_nothing_to_complain_of(friendly, tmp_path):
    model = onnx.load(friendly[0] / "model.onnx")
    case = opened(model, tmp_path, friendly[0] / "tokenizer.json")
    report = examine_speed(case)
    assert (report.int8_products, report.float_products) == (0, 20)
    assert report.findings == examine_numerics(case) == ()
    assert sum(share.share for share in report.operators) == pytest.approx(1, abs=0.15)
    assert report.operators[0].share == max(share.share for share in report.operators)


def test_a_fixed_length_is_told_with_what_it_costs(friendly, tmp_path):
    model = onnx.load(friendly[0] / "model.onnx")
    for node in model.graph.input:
        node.type.tensor_type.shape.dim[1].dim_value = 60
    report = examine_speed(opened(model, tmp_path, friendly[0] / "tokenizer.json"))
    padding = next(one for one in report.findings if one.kind == "padding")
    tokens = [5, 3, 14]
    assert padding.figures["share"] == pytest.approx(1 - sum(tokens) / (3 * 60))
    assert 0 < padding.figures["p50_ratio_without"] < 1
    assert "compile.lengths" in padding.remedy


def test_padding_by_the_tokenizer_is_told(friendly, tmp_path):
    about = json.loads((friendly[0] / "tokenizer.json").read_text())
    about["padding"] = {
        "strategy": {"Fixed": 60},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (tmp_path / "padding").mkdir()
    (tmp_path / "padding/tokenizer.json").write_text(json.dumps(about))
    model = onnx.load(friendly[0] / "model.onnx")
    report = examine_speed(opened(model, tmp_path, tmp_path / "padding/tokenizer.json"))
    assert kinds(report.findings) == {"padding"}
    assert "tokenizer" in report.findings[0].remedy


def with_mask(model, value, quantized):
    """Put another constant in place of the mask's, and quantize the mask on request."""
    name = next(n for n, v in constants(model).items() if v.size == 1 and v.item() == MASK_VALUE)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(value), name))
    mask = next(node for node in readers(model)[name] if node.op_type == "Mul").output[0]
    if quantized:
        add_constant(model, "mask_scale", np.array(-value / 255, dtype=np.float32))
        add_constant(model, "mask_zero_point", np.array(255, dtype=np.uint8))
        steps = ["mask_scale", "mask_zero_point"]
        for reader in readers(model)[mask]:
            reader.input[list(reader.input).index(mask)] = "mask_back"
        place = next(i for i, n in enumerate(model.graph.node) if mask in n.output) + 1
        pair = [
            helper.make_node("QuantizeLinear", [mask, *steps], ["mask_int8"]),
            helper.make_node("DequantizeLinear", ["mask_int8", *steps], ["mask_back"]),
        ]
        for node in reversed(pair):
            model.graph.node.insert(place, node)
    return model


@pytest.mark.parametrize(("quantized", "destroyed"), [(True, 1), (False, 0)])
def test_a_mask_that_was_not_repaired_is_named(friendly, tmp_path, quantized, destroyed):
    lowest = float(np.finfo(np.float32).min)
    model = with_mask(onnx.load(friendly[0] / "model.onnx"), lowest, quantized)
    findings = examine_numerics(opened(model, tmp_path, friendly[0] / "tokenizer.json"))
    assert [finding.kind for finding in findings] == ["mask_constant"]
    assert findings[0].figures["destroyed_tensors"] == destroyed
    assert "-3.4e+38" in findings[0].found
    cured = with_mask(onnx.load(friendly[0] / "model.onnx"), MASK_VALUE, quantized)
    assert examine_numerics(opened(cured, tmp_path, friendly[0] / "tokenizer.json")) == ()


def test_layers_that_int8_harms_are_suggested_and_restore_the_accuracy(hostile_run):
    run, planted = hostile_run
    report = examine_accuracy(run, GuardConfig(max_drop=0.08, texts=64))
    assert (report.metric, report.float_accuracy) == ("accuracy", 1.0)
    assert report.int8_accuracy < 0.9
    assert report.lost.low > 0
    assert len(report.layers) == 14
    assert {layer.operators for layer in report.layers[:2]} == set(planted)
    assert set(report.suggested) == set(planted)
    assert report.suggested_accuracy >= 0.92
    assert report.suggested_gain.low > 0
    ill = {finding.subject for finding in report.findings if finding.kind == "outliers"}
    assert ill == {operators[0] for operators in planted}


def test_where_int8_costs_nothing_nothing_is_suggested(hostile_run):
    report = examine_accuracy(hostile_run[0], GuardConfig(max_drop=0.99, texts=8))
    assert report.suggested == ()
    assert report.p50_ratio_to_int8 == 1.0
    assert (report.suggested_gain.low, report.suggested_gain.high) == (0, 0)


def test_an_examination_is_read_as_it_was_written(bundle_folder, tmp_path):
    found = examine(bundle_folder, TEXTS)
    write_examination(found, tmp_path)
    assert read_examination(tmp_path) == found
    assert found.speed[0].subject == "onnxruntime"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "expected a bundle, the folder of a run's results"),
        (lambda folder: folder / "none.onnx", "--texts FILE"),
    ],
)
def test_what_cannot_be_examined_is_said(make, said, tmp_path):
    with pytest.raises(UserError, match=said):
        examine(make(tmp_path))


def test_a_bundle_for_another_processor_is_said(bundle_folder, copied):
    folder = copied(bundle_folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    other = "x86_64" if available_isas()[0] == "arm64" else "arm64"
    manifest["targets"][0]["isa"] = other
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=f"compiled for {other}"):
        cases_of_bundle(folder, TEXTS)

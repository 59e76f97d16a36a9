import json
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from pocketbert.compress.errors import ModelError
from pocketbert.deploy.activations import sample_texts
from pocketbert.deploy.calibrate import observe
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.placement import quantizable_matmuls
from pocketbert.deploy.quantize import quantize, quantized_model
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.fixture(params=["bert", "mpnet"])
def stages(request):
    return request.getfixturevalue(request.param)


def test_layout_is_int8_on_weight_products_only(stages):
    graph = onnx.load(stages.quantized / "model.onnx").graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    producer = {name: node.op_type for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero_point = stored[node.input[2]]
            assert zero_point.dtype == np.int8
            if node.input[0] in stored:  # a weight
                assert not zero_point.any()
        sources = [producer.get(name) for name in node.input]
        if "DequantizeLinear" in sources:
            assert (node.op_type, sources) == ("MatMul", ["DequantizeLinear", "DequantizeLinear"])
    weights = [n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in stored]
    for node in weights:  # per output channel
        assert stored[node.input[1]].shape == (stored[node.input[0]].shape[1],)


def test_query_key_and_value_share_one_quantized_input(stages):
    graph = onnx.load(stages.quantized / "model.onnx").graph
    stored = {tensor.name for tensor in graph.initializer}
    weights = {
        n.output[0] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in stored
    }
    products = [n for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    readers = Counter(node.input[0] for node in products)
    # The last layer's query reads the first position only.
    assert sorted(readers.values(), reverse=True)[:2] == [3, 2]
    assert sum(node.op_type == "QuantizeLinear" for node in graph.node) == 10


def test_classifier_and_attention_products_stay_float(stages):
    assert stages.quantize["quantized_matmuls"] == 13  # 2 layers of 6, and the pooler
    assert stages.quantize["float_weight_matmuls"] == 1


def test_calibration_table_holds_a_range_for_every_activation(stages):
    ranges = json.loads((stages.quantized / "calibration.json").read_text())
    assert len(ranges) == 10
    assert all(low <= 0 < high for low, high in ranges.values())
    behind_gelu = [r for name, r in ranges.items() if "intermediate" in name]
    # GELU's lowest value is -0.17: a symmetric range would leave half of the steps unused.
    assert len(behind_gelu) == 2
    assert all(-0.2 < low < 0 for low, _ in behind_gelu)


def test_agrees_with_the_float_model(stages):
    texts = ["the film is superb", "a very dull story", "this plot is tender and sharp", ""]
    labels = ("bad", "good")
    expected = Engine.from_onnx(stages.exported, labels, 32).logits(texts)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    found = Engine(tokenizer, OrtRunner(stages.quantized / "model.onnx"), labels).logits(texts)
    assert 0 < np.abs(found - expected).max() < 0.25 * np.abs(expected).max()


def test_percentile_never_widens_a_range(bert, to_int8, tmp_path):
    config = QuantizeConfig(calibration_examples=8, calibration="percentile", embeddings=False)
    to_int8(out=tmp_path, config=config, data=bert.data, exported=bert.exported)
    assert "Cast" not in operators_behind_tables(onnx.load(tmp_path / "model.onnx"))
    clipped = json.loads((tmp_path / "calibration.json").read_text())
    config = QuantizeConfig(calibration_examples=8, calibration="minmax")
    to_int8(out=tmp_path, config=config, data=bert.data, exported=bert.exported)
    assert "Cast" in operators_behind_tables(onnx.load(tmp_path / "model.onnx"))
    largest = json.loads((tmp_path / "calibration.json").read_text())
    assert clipped.keys() == largest.keys()
    for name, (low, high) in largest.items():
        assert low <= clipped[name][0] <= 0 <= clipped[name][1] <= high


def operators_behind_tables(model):
    rows = {node.output[0] for node in model.graph.node if node.op_type == "Gather"}
    return {node.op_type for node in model.graph.node if rows & set(node.input)}


def test_the_same_config_calibrates_the_same(bert, to_int8, tmp_path):
    config = QuantizeConfig(calibration_examples=32)
    to_int8(out=tmp_path, config=config, data=bert.data, exported=bert.exported)
    for name in ("calibration.json", "model.onnx"):
        assert (tmp_path / name).read_bytes() == (bert.quantized / name).read_bytes()


def graph_in(folder):
    return onnx.load(folder / "model.onnx").graph


class TextByText(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, stages):
        tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
        names = [node.name for node in onnx.load(stages.exported / "model.onnx").graph.input]
        encoded = [tokenizer.encode([text]) for text in sample_texts(stages.data, 32)]
        self.inputs = [{name: one[name] for name in names} for one in encoded]
        self.set_range(0, len(encoded))

    def __len__(self):
        return len(self.inputs)

    def set_range(self, start_index, end_index):
        self.part = iter(self.inputs[start_index:end_index])

    def get_next(self):
        return next(self.part, None)


def test_scales_are_those_of_onnxruntimes_quantizer(stages, tmp_path, capsys):
    matmuls = quantizable_matmuls(onnx.load(stages.exported / "model.onnx"))
    quantize_static(
        stages.exported / "model.onnx",
        tmp_path / "model.onnx",
        TextByText(stages),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
        nodes_to_quantize=[node.name for node in matmuls],
        extra_options={
            "ActivationSymmetric": False,
            "WeightSymmetric": True,
            "CalibStridedMinMax": 1,
            "OpTypesToExcludeOutputQuantization": ["MatMul"],
        },
    )
    capsys.readouterr()  # it prints
    ours = {t.name: numpy_helper.to_array(t) for t in graph_in(stages.quantized).initializer}
    theirs = {t.name: numpy_helper.to_array(t) for t in graph_in(tmp_path).initializer}
    pairs = [node for node in graph_in(tmp_path).node if node.op_type.endswith("eLinear")]
    shared = {name for node in pairs for name in node.input} & theirs.keys()
    assert len(shared) == 13 * 3 + 10 * 2
    for name in shared:
        if name.endswith("_scale"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)
        else:
            off = np.abs(ours[name].astype(int) - theirs[name].astype(int))
            assert off.max() <= 1
            assert off.mean() <= 0.001


def laid_out(stages, symmetric=False, **placement):
    """The quantized model and, of each operator, which inputs are dequantized."""
    model = onnx.load(stages.exported / "model.onnx")
    table = observe(stages.data, stages.exported, 32)
    config = QuantizeConfig(**placement)
    found = quantized_model(model, table, config, symmetric=symmetric)
    onnx.checker.check_model(found)
    producer = {name: node.op_type for node in found.graph.node for name in node.output}
    quantized = Counter()
    for node in found.graph.node:
        sources = [producer.get(name) == "DequantizeLinear" for name in node.input]
        if any(sources):
            quantized[node.op_type, tuple(sources)] += 1
    return found, quantized


def logits_of(model, stages, path):
    onnx.save(model, path)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    texts = ["the film is superb", "a very dull story", "this plot is tender and sharp", ""]
    return OrtRunner(path, optimize=False).run(tokenizer.encode(texts))


def test_attention_and_residuals_on_request(stages, tmp_path):
    floats = logits_of(onnx.load(stages.exported / "model.onnx"), stages, tmp_path / "float.onnx")
    both = ("MatMul", (True, True))
    for placement, expected in (
        ({}, {both: 13}),
        ({"attention": True}, {both: 13 + 4}),  # two layers of two products
        # Two sums in each layer. The one that leads to the sum first is the skip's in MPNet only.
        ({"residuals": True}, {both: 13, "Add": 4}),
        ({"attention": True, "residuals": True}, {both: 17, "Add": 4}),
    ):
        model, found = laid_out(stages, **placement)
        sums = sum(count for (op_type, _), count in found.items() if op_type == "Add")
        others = {key: count for key, count in found.items() if key[0] != "Add"}
        assert others | ({"Add": sums} if sums else {}) == expected
        logits = logits_of(model, stages, tmp_path / "int8.onnx")
        assert 0 < np.abs(logits - floats).max() < 0.25 * np.abs(floats).max()


def test_only_the_side_of_a_sum_that_comes_round_is_quantized(stages):
    model, _ = laid_out(stages, residuals=True)
    producer = {name: node for node in model.graph.node for name in node.output}
    reading = {name: node.op_type for node in model.graph.node for name in node.input}
    sums = [
        node
        for node in model.graph.node
        if node.op_type == "Add"
        and any(producer[n].op_type == "DequantizeLinear" for n in node.input if n in producer)
    ]
    for node in sums:
        assert reading[node.output[0]] == "LayerNormalization"
        skip = next(n for n in node.input if producer[n].op_type == "DequantizeLinear")
        other = next(n for n in node.input if n != skip)
        assert producer[other].op_type == "Add"  # the bias


def test_the_layout_for_tensorrt_has_zero_points_of_zero(stages, tmp_path):
    model, found = laid_out(stages, symmetric=True, attention=True, residuals=True)
    assert found["MatMul", (True, True)] == 17
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    table = observe(stages.data, stages.exported, 32)
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert stored[node.input[2]].dtype == np.int8
            assert not stored[node.input[2]].any()
        if node.op_type == "QuantizeLinear":
            seen = table.tensors[node.input[0]]
            largest = max(-seen.lowest, seen.highest)
            assert stored[node.input[1]] == pytest.approx(largest / 127, rel=1e-6)
    floats = logits_of(onnx.load(stages.exported / "model.onnx"), stages, tmp_path / "float.onnx")
    logits = logits_of(model, stages, tmp_path / "int8.onnx")
    assert 0 < np.abs(logits - floats).max() < 0.25 * np.abs(floats).max()


def test_the_exported_model_stays_as_it_is(bert):
    model = onnx.load(bert.exported / "model.onnx")
    before = model.SerializeToString()
    quantized_model(model, observe(bert.data, bert.exported, 4), QuantizeConfig())
    assert model.SerializeToString() == before


def test_a_quantized_model_is_not_quantized_again(bert, tmp_path):
    with pytest.raises(ModelError, match="is quantized already"):
        quantize(
            out=tmp_path, config=QuantizeConfig(), calibrated=tmp_path, exported=bert.quantized
        )

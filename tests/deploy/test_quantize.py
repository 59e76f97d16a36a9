import json
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.quantize import quantize
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
    products = [n for n in graph.node if n.op_type == "MatMul" and "quantized" not in n.input[0]]
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


def test_percentile_never_widens_a_range(bert, tmp_path):
    config = QuantizeConfig(calibration_examples=8, calibration="percentile", embeddings=False)
    result = quantize(out=tmp_path, config=config, data=bert.data, exported=bert.exported)
    assert result["embedding_tables"] == 0
    clipped = json.loads((tmp_path / "calibration.json").read_text())
    full = quantize(  # the same texts, in full range
        out=tmp_path,
        config=QuantizeConfig(calibration_examples=8, calibration="minmax"),
        data=bert.data,
        exported=bert.exported,
    )
    assert full["embedding_tables"] == 1
    largest = json.loads((tmp_path / "calibration.json").read_text())
    assert clipped.keys() == largest.keys()
    for name, (low, high) in largest.items():
        assert clipped[name][0] >= 1.01 * low - 0.01 * high
        assert clipped[name][1] <= 1.01 * high - 0.01 * low


def test_the_same_config_calibrates_the_same(bert, tmp_path):
    config = QuantizeConfig(calibration_examples=32)
    quantize(out=tmp_path, config=config, data=bert.data, exported=bert.exported)
    for name in ("calibration.json", "model.onnx"):
        assert (tmp_path / name).read_bytes() == (bert.quantized / name).read_bytes()

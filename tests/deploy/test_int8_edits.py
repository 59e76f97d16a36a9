import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.int8_edits import (
    fuse_integer_matmuls,
    narrow_weights,
    quantize_embedding_rows,
    shift_zero_points,
)
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.tokenizer import Tokenizer


def logits(model, path, stages, optimize):
    onnx.save(model, path)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    texts = ["the film is superb", "", "a clumsy story and very dull actors", "lovely " * 40]
    return OrtRunner(path, optimize=optimize).run(tokenizer.encode(texts))


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_zero_point_shift_is_bit_identical(name, request, tmp_path):
    stages = request.getfixturevalue(name)
    model = onnx.load(stages.quantized / "model.onnx")
    before = logits(model, tmp_path / "s8.onnx", stages, optimize=False)
    # two layers of four, the last layer's query, and the pooler
    assert shift_zero_points(model) == 10
    after = logits(model, tmp_path / "u8.onnx", stages, optimize=False)
    np.testing.assert_array_equal(after, before)
    weights = [t for t in model.graph.initializer if t.name.endswith("_quantized")]
    assert {t.data_type for t in weights} == {TensorProto.INT8}


def test_shift_refuses_a_shifted_model(bert):
    model = onnx.load(bert.quantized / "model.onnx")
    shift_zero_points(model)
    with pytest.raises(ValueError, match="expected an int8 zero point"):
        shift_zero_points(model)


def test_fused_products_compute_the_same(bert, tmp_path):
    model = onnx.load(bert.quantized / "model.onnx")
    lower(model, onnx.load(bert.exported / "model.onnx"), "x86_64")
    before = logits(model, tmp_path / "qdq.onnx", bert, optimize=False)
    assert fuse_integer_matmuls(model) == 13
    assert "DequantizeLinear" not in {node.op_type for node in model.graph.node}
    after = logits(model, tmp_path / "fused.onnx", bert, optimize=False)
    np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())


def test_embedding_rows_keep_half_a_step(tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    rows[7] *= 100  # a row of its own scale
    rows[8] = 0
    small = rows[:4]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["large"]),
            helper.make_node("Gather", ["small", "zero"], ["one"]),
            helper.make_node("Add", ["large", "one"], ["out"]),
        ],
        "test",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 16])],
        [
            numpy_helper.from_array(rows, "table"),
            numpy_helper.from_array(small - small, "small"),
            numpy_helper.from_array(np.array(0), "zero"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    assert quantize_embedding_rows(model) == 1
    stored = {t.name: t for t in model.graph.initializer}
    assert "table" not in stored
    assert stored["table_rows"].data_type == TensorProto.INT8
    onnx.save(model, tmp_path / "m.onnx")
    found = OrtRunner(tmp_path / "m.onnx").run({"ids": np.arange(300)})
    half_step = np.abs(rows).max(axis=1, keepdims=True) / 127 / 2
    assert (np.abs(found - rows) <= half_step * 1.001).all()


@pytest.fixture
def planted():
    """One product whose pairs overflow 16 bits: all activations and weights at their largest."""
    weight = np.full((64, 32), 0.5, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w_quantized", "ws", "wz"], ["wd"], axis=1),
            helper.make_node("MatMul", ["xd", "wd"], ["out"], name="product"),
        ],
        "planted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 32])],
        [
            numpy_helper.from_array(np.float32(1 / 127), "xs"),
            numpy_helper.from_array(np.int8(0), "xz"),
            numpy_helper.from_array(np.full((64, 32), 127, np.int8), "w_quantized"),
            numpy_helper.from_array(np.full(32, 0.5 / 127, np.float32), "ws"),
            numpy_helper.from_array(np.zeros(32, np.int8), "wz"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    exported = onnx.ModelProto()
    exported.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), exported


def product(model, path):
    fuse_integer_matmuls(model)
    onnx.save(model, path)
    return OrtRunner(path).run({"x": np.ones((4, 64), np.float32)})


@pytest.mark.skipif(available_isas()[0] != "x86_64", reason="only x86-64 without VNNI saturates")
def test_eight_bit_weights_saturate_without_vnni(planted, tmp_path):
    model, exported = planted
    lower(model, exported, "x86_64_vnni")
    assert np.abs(product(model, tmp_path / "m.onnx") - 32).max() > 1


@pytest.mark.skipif("x86_64" not in available_isas(), reason="the x86-64 layout")
def test_seven_bit_weights_do_not_saturate(planted, tmp_path):
    model, exported = planted
    lower(model, exported, "x86_64")
    np.testing.assert_allclose(product(model, tmp_path / "m.onnx"), 32, rtol=1e-5)


def test_narrow_weights_round_the_float_values_once(bert):
    exported = onnx.load(bert.exported / "model.onnx")
    model = onnx.load(bert.quantized / "model.onnx")
    assert narrow_weights(model, exported) == 13
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    floats = {t.name: numpy_helper.to_array(t) for t in exported.graph.initializer}
    for name in [name for name in stored if name.endswith("_quantized")]:
        weight, scale = (
            floats[name.removesuffix("_quantized")],
            stored[name.replace("_quantized", "_scale")],
        )
        assert np.abs(stored[name]).max() == 64
        assert (np.abs(stored[name] * scale - weight) <= scale / 2 * 1.001).all()

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.deploy.float_edits import (
    broadcast_mask,
    drop_identities,
    fold_reshapes,
    repair_mask,
    split_gemms,
)
from pocketbert.deploy.runners.ort import OrtRunner


def model_of(nodes, constants, inputs, dtype=TensorProto.FLOAT, out_rank=2):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [
            helper.make_tensor_value_info(
                "out", TensorProto.FLOAT, [f"d{axis}" for axis in range(out_rank)]
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(model, path, **inputs):
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return OrtRunner(path).run(inputs)


@pytest.mark.parametrize("huge", [np.finfo(np.float32).min, -np.inf])
@pytest.mark.parametrize("stored", [True, False])
def test_repair_mask_in_initializers_and_constant_nodes(huge, stored):
    value = np.array([0.0, huge], dtype=np.float32)
    nodes = [helper.make_node("Add", ["x", "mask"], ["out"])]
    if not stored:
        tensor = numpy_helper.from_array(value)
        nodes.insert(0, helper.make_node("Constant", [], ["mask"], value=tensor))
    model = model_of(nodes, {"mask": value} if stored else {}, {"x": [2]})
    assert repair_mask(model) == 1
    assert repair_mask(model) == 0
    tensor = model.graph.initializer[0] if stored else model.graph.node[0].attribute[0].t
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.float32([0, -1e4]))


def where_model(read_by):
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["keep"], to=TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["keep", "axes"], ["keep4"]),
        helper.make_node("Expand", ["keep4", "shape"], ["expanded"]),
        helper.make_node("Where", ["expanded", "zero", "low"], ["mask"]),
        helper.make_node("Add", ["scores", "mask"], ["masked"]),
        helper.make_node(read_by, ["masked"], ["out"]),
    ]
    constants = {
        "axes": np.array([1, 2]),
        "shape": np.array([2, 1, 3, 3]),
        "zero": np.float32(0),
        "low": np.float32(-1e4),
        "scores": np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32),
    }
    return model_of(nodes, constants, {"attention_mask": ["b", "s"]}, TensorProto.INT64, 4)


def test_broadcast_mask_says_the_same(tmp_path):
    mask = np.array([[1, 1, 1], [1, 0, 0]])
    model = where_model("Softmax")
    before = outputs(model, tmp_path / "before.onnx", attention_mask=mask)
    assert broadcast_mask(model) == 1
    assert "Expand" not in {node.op_type for node in model.graph.node}
    after = outputs(model, tmp_path / "after.onnx", attention_mask=mask)
    np.testing.assert_array_equal(after, before)


def test_broadcast_mask_leaves_other_choices_alone():
    assert broadcast_mask(where_model("Relu")) == 0


def test_drop_identities_follows_chains(tmp_path):
    nodes = [
        helper.make_node("Identity", ["w"], ["a"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("Add", ["x", "b"], ["out"]),
    ]
    model = model_of(nodes, {"w": np.float32([1, 2])}, {"x": [2]}, out_rank=1)
    assert drop_identities(model) == 2
    assert [node.op_type for node in model.graph.node] == ["Add"]
    found = outputs(model, tmp_path / "m.onnx", x=np.float32([1, 1]))
    np.testing.assert_array_equal(found, [2, 3])


def reshape_model(axis):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "axis"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "zero"], ["size1"]),
        helper.make_node("Concat", ["size1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["out"]),
    ]
    constants = {"axis": np.array(axis), "zero": np.array([0]), "rest": np.array([-1, 2])}
    return model_of(nodes, constants, {"x": ["b", "h"]}, out_rank=3)


def test_fold_reshapes(tmp_path):
    model = reshape_model(axis=0)
    assert fold_reshapes(model) == 1
    assert [node.op_type for node in model.graph.node] == ["Reshape"]
    x = np.arange(24, dtype=np.float32).reshape(3, 8)
    np.testing.assert_array_equal(outputs(model, tmp_path / "m.onnx", x=x), x.reshape(3, 4, 2))


def test_fold_reshapes_leaves_a_size_of_another_place_alone():
    assert fold_reshapes(reshape_model(axis=1)) == 0


@pytest.mark.parametrize("transposed", [0, 1])
def test_split_gemms(tmp_path, transposed):
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(8, 3)).astype(np.float32)
    stored = np.ascontiguousarray(weight.T) if transposed else weight
    bias, x = draw.normal(size=3).astype(np.float32), draw.normal(size=(2, 8)).astype(np.float32)
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["out"], transB=transposed)
    model = model_of([gemm], {"w": stored, "b": bias}, {"x": ["n", 8]})
    assert split_gemms(model) == 1
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add"]
    np.testing.assert_allclose(outputs(model, tmp_path / "m.onnx", x=x), x @ weight + bias, 1e-5)


def test_split_gemms_leaves_scaled_ones_alone():
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["out"], alpha=0.5)
    constants = {"w": np.ones((2, 2), np.float32), "b": np.ones(2, np.float32)}
    assert split_gemms(model_of([gemm], constants, {"x": ["n", 2]})) == 0

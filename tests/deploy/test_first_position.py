"""Work for positions that nobody reads goes, and no logit moves."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.deploy.first_position import first_position_only
from pocketbert.deploy.graph import initializers, producers
from pocketbert.deploy.runners.ort import OrtRunner

HIDDEN = 8


def model_of(nodes, weights, out_shape):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "seq", HIDDEN])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, tmp_path, x):
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "m.onnx")
    return OrtRunner(tmp_path / "m.onnx", optimize=False).run({"x": x})


def weights(**shapes):
    draw = np.random.default_rng(0)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


BLOCK = [
    helper.make_node("MatMul", ["x", "w1"], ["grown"]),
    helper.make_node("Add", ["grown", "b1"], ["biased"]),
    helper.make_node("Relu", ["biased"], ["active"]),
    helper.make_node("MatMul", ["active", "w2"], ["shrunk"]),
    helper.make_node("Add", ["shrunk", "x"], ["summed"]),
]
SHAPES = {"w1": (HIDDEN, 16), "b1": (16,), "w2": (16, HIDDEN)}
FIRST = {"zero": np.array(0, dtype=np.int64)}
X = np.random.default_rng(1).normal(size=(3, 5, HIDDEN)).astype(np.float32)


def test_a_feed_forward_block_is_cut_before_its_first_product(tmp_path):
    nodes = [*BLOCK, helper.make_node("Gather", ["summed", "zero"], ["out"], axis=1)]
    model = model_of(nodes, weights(**SHAPES) | FIRST, ["batch", HIDDEN])
    before = run(model, tmp_path, X)
    assert first_position_only(model) == 2
    np.testing.assert_allclose(run(model, tmp_path, X), before, atol=1e-6)
    slices = [node for node in model.graph.node if node.op_type == "Slice"]
    assert [node.input[0] for node in slices] == ["x"]
    assert producers(model)["grown"].input[0] == slices[0].output[0]


def test_what_another_reader_needs_whole_stays_whole(tmp_path):
    """The last hidden states are an output, or are averaged, beside the first position."""
    nodes = [
        *BLOCK,
        helper.make_node("Gather", ["summed", "zero"], ["first"], axis=1),
        helper.make_node("ReduceMean", ["summed"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Add", ["first", "mean"], ["out"]),
    ]
    model = model_of(nodes, weights(**SHAPES) | FIRST, ["batch", HIDDEN])
    assert first_position_only(model) == 0
    assert "Slice" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(("index", "axis"), [(1, 1), (0, 2)])
def test_only_the_first_position_counts(index, axis):
    shape = ["batch", HIDDEN] if axis == 1 else ["batch", "seq"]
    nodes = [*BLOCK, helper.make_node("Gather", ["summed", "at"], ["out"], axis=axis)]
    model = model_of(nodes, weights(**SHAPES) | {"at": np.array(index)}, shape)
    assert first_position_only(model) == 0


def test_a_bias_that_differs_by_position_ends_the_cut(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["grown"]),
        helper.make_node("Add", ["grown", "places"], ["placed"]),
        helper.make_node("MatMul", ["placed", "w2"], ["shrunk"]),
        helper.make_node("Gather", ["shrunk", "zero"], ["out"], axis=1),
    ]
    stored = weights(w1=(HIDDEN, 16), places=(5, 16), w2=(16, HIDDEN)) | FIRST
    model = model_of(nodes, stored, ["batch", HIDDEN])
    before = run(model, tmp_path, X)
    assert first_position_only(model) == 1  # the second product only
    np.testing.assert_allclose(run(model, tmp_path, X), before, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_the_last_layer_keeps_keys_and_values_for_all_positions(name, request):
    stages = request.getfixturevalue(name)
    assert stages.export["edits"]["first_position_only"] == 4  # query, output, two feed-forward
    assert stages.export["parity_max_abs"] < 1e-5
    model = onnx.load(stages.exported / "model.onnx")
    stored, producer = initializers(model), producers(model)
    products = [n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in stored]
    cut = [n for n in products if getattr(producer.get(n.input[0]), "op_type", "") == "Slice"]
    assert len(cut) == 1  # the query's input; what follows is short by itself

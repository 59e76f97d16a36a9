"""FP16: same answers, islands where FP16's range ends."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pocketbert.deploy import half
from pocketbert.deploy.graph import save_model
from pocketbert.deploy.half import fits_half, halve
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.targets.tensorrt import lower
from pocketbert.deploy.tokenizer import Tokenizer

TEXTS = ["the film is superb", "", "a clumsy story and very dull actors", "lovely " * 40]


def logits(model, path, stages):
    save_model(model, path)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    return OrtRunner(path, optimize=False).run(tokenizer.encode(TEXTS))


def float_types(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {v.name: v.type.tensor_type.elem_type for v in [*inferred.value_info, *inferred.output]}


@pytest.mark.parametrize("name", ["bert", "mpnet", "biased", "bilstm", "factorised"])
@pytest.mark.parametrize("folder", ["exported", "quantized"])
def test_halved_graph_answers_the_same(name, folder, request, tmp_path):
    stages = request.getfixturevalue(name)
    model = onnx.load(getattr(stages, folder) / "model.onnx")
    lower(model, "float32")
    before = logits(model, tmp_path / "float.onnx", stages)
    assert halve(model) > 10
    onnx.checker.check_model(model, full_check=True)
    after = logits(model, tmp_path / "half.onnx", stages)
    assert after.dtype == np.float32
    # FP16 moves values over rounding steps of INT8.
    tolerance = 0.01 if folder == "exported" else 0.08
    np.testing.assert_allclose(after, before, atol=tolerance * np.abs(before).max())
    types = float_types(model)
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "LSTM"):
            assert types[node.output[0]] == TensorProto.FLOAT, node.name
        if node.op_type in ("MatMul", "Softmax", "Erf"):
            assert types[node.output[0]] == TensorProto.FLOAT16, node.name


def written_out_norm():
    """A LayerNorm as ten operators, the way exports below opset 17 have it."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Pow", ["centred", "two"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[-1]),
        helper.make_node("Add", ["variance", "epsilon"], ["padded"]),
        helper.make_node("Sqrt", ["padded"], ["deviation"]),
        helper.make_node("Div", ["centred", "deviation"], ["normal"]),
        helper.make_node("MatMul", ["normal", "weight"], ["logits"]),
    ]
    stored = {
        "two": np.float32(2),
        "epsilon": np.float32(1e-12),
        "weight": np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_squares_of_a_norm_need_the_island(monkeypatch):
    values = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32) * 1e3
    expected = ReferenceEvaluator(written_out_norm()).run(None, {"x": values})[0]
    island = written_out_norm()
    halve(island)
    found = ReferenceEvaluator(island).run(None, {"x": values})[0]
    np.testing.assert_allclose(found, expected, atol=0.01)
    # Without it 1000 squared passes 65504: everything is divided by infinity.
    monkeypatch.setattr(half, "ALWAYS_FLOAT", set())
    monkeypatch.setattr(half, "FLOAT_WITH_ANY", set())
    monkeypatch.setattr(half, "ALWAYS_HALF", {"Sub", *half.ALWAYS_HALF})
    drowned = written_out_norm()
    halve(drowned)
    assert np.abs(ReferenceEvaluator(drowned).run(None, {"x": values})[0] - expected).max() > 0.5


def test_a_weight_that_half_does_not_hold_stays_in_float(caplog):
    model = written_out_norm()
    weight = next(t for t in model.graph.initializer if t.name == "weight")
    large = numpy_helper.to_array(weight) * 1e5
    weight.CopyFrom(numpy_helper.from_array(large, "weight"))
    values = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
    expected = ReferenceEvaluator(model).run(None, {"x": values})[0]
    with caplog.at_level("INFO"):
        halve(model)
    assert "MatMul" in caplog.text
    assert "stays in FP32: FP16 does not hold weight" in caplog.text
    found = ReferenceEvaluator(model).run(None, {"x": values})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "is_scale", "fits"),
    [
        (65504.0, False, True),
        (65520.0, False, False),
        (-np.inf, False, True),  # FP16 has an infinity
        (1e-12, False, False),  # vanishes
        (0.0, False, True),
        (1e-5, False, True),
        (1e-5, True, False),  # a scale would lose digits
        ([1e-12, 1.0], False, True),
        ([1e-5, 1.0], True, False),
    ],
)
def test_what_half_holds(value, is_scale, fits):
    assert fits_half(np.atleast_1d(np.float32(value)), is_scale) is fits


def test_whole_numbers_stay_in_float_until_they_meet_half(bert):
    model = onnx.load(bert.exported / "model.onnx")
    halve(model)
    types = float_types(model)
    mask = [node for node in model.graph.node if node.op_type == "Sub"]
    assert mask
    assert {types[node.output[0]] for node in mask} == {TensorProto.FLOAT}

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.compress.data import load_split
from pocketbert.deploy.macs import count_macs
from pocketbert.deploy.tokenizer import Tokenizer

HIDDEN, NEURONS = 64, 128


def inputs(stages, words):
    return Tokenizer(stages.exported / "tokenizer.json", 32).encode([" ".join(["film"] * words)])


@pytest.mark.parametrize("words", [3, 20])
@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_two_layers_of_which_the_last_answers_for_the_first_position(name, words, request):
    stages = request.getfixturevalue(name)
    tokens = words + 2
    whole = 4 * tokens * HIDDEN**2 + 2 * tokens**2 * HIDDEN + 2 * tokens * HIDDEN * NEURONS
    last = 2 * tokens * HIDDEN**2 + 2 * HIDDEN**2 + 2 * tokens * HIDDEN + 2 * HIDDEN * NEURONS
    head = HIDDEN**2 + HIDDEN * 2
    graph = onnx.load(stages.exported / "model.onnx")
    assert count_macs(graph, inputs(stages, words)) == whole + last + head


def test_an_lstm_multiplies_the_input_and_its_own_state_in_four_gates(bilstm):
    length = 7 + 2
    graph = onnx.load(bilstm.exported / "model.onnx")
    lstm = length * 2 * 4 * 32 * (24 + 32)
    others = count_macs(graph, inputs(bilstm, 7)) - lstm
    weights = {t.name: tuple(t.dims) for t in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")]
    smallest = sum(np.prod(weights[n.input[1]]) for n in products if n.input[1] in weights)
    assert smallest <= others < 4 * length * smallest


def test_a_transposed_product_counts_its_inner_size():
    weight = numpy_helper.from_array(np.ones((5, 7), np.float32), "w")
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=1)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 7])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    assert count_macs(model, {"x": np.ones((5, 3), np.float32)}) == 3 * 5 * 7


def test_the_export_says_what_a_text_of_median_length_costs(bert, tiny_data):
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", 32)
    texts = load_split(tiny_data, "validation").texts
    lengths = sorted(tokenizer.encode([text])["input_ids"].shape[1] for text in texts)
    tokens = lengths[len(lengths) // 2]
    assert bert.export["macs_tokens"] == tokens
    graph = onnx.load(bert.exported / "model.onnx")
    assert bert.export["macs"] == count_macs(graph, inputs(bert, tokens - 2))

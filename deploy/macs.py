"""How many multiplications a graph really does for a text, counted while it runs."""

import math
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto

PRODUCTS = ("MatMul", "Gemm", "LSTM")


def count_macs(model: ModelProto, inputs: Mapping[str, NDArray[np.generic]]) -> int:
    """Count the multiply-accumulates of all matrix products and LSTMs.

    The shapes are those of a run, so that pruned widths, and a last layer that computes one
    position only, count as what they are.

    Args:
        model: A graph in FP32.
        inputs: What it is run on, each (batch, seq).
    """
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    if not products:
        return 0
    names = sorted(
        {name for node in products for name in (*node.input[:3], node.output[0]) if name}
    )
    shapes = _shapes(model, names, inputs)
    return sum(_macs(node, shapes) for node in products)


def _shapes(
    model: ModelProto, names: list[str], inputs: Mapping[str, NDArray[np.generic]]
) -> dict[str, tuple[int, ...]]:
    """Run the graph once and look at these tensors."""
    watched = ModelProto()
    watched.CopyFrom(model)
    known = {tensor.name: tuple(tensor.dims) for tensor in watched.graph.initializer}
    wanted = [name for name in names if name not in known]
    del watched.graph.output[:]
    watched.graph.output.extend(ValueInfoProto(name=name) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    taken = {node.name: inputs[node.name] for node in session.get_inputs()}
    found = session.run(wanted, taken)
    return known | {name: value.shape for name, value in zip(wanted, found, strict=True)}


def _macs(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type == "LSTM":
        length, batch, width = shapes[node.input[0]]
        directions, gates, _ = shapes[node.input[1]]
        return length * batch * directions * gates * (width + gates // 4)
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    inner = shapes[node.input[0]][0 if transposed else -1]
    return math.prod(shapes[node.output[0]]) * inner

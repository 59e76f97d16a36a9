"""Reading and rewriting an ONNX graph: what every edit needs."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

OPSET = 17


def weight_matmuls(model: ModelProto, min_channels: int = 1) -> list[NodeProto]:
    """Matrix products with constant weights of at least `min_channels` output channels."""
    weights = initializers(model)
    return [
        node
        for node in model.graph.node
        if node.op_type in ("MatMul", "FusedMatMul", "Gemm", "FusedGemm")
        and node.input[1] in weights
        and min(weights[node.input[1]].dims) >= min_channels
    ]


def save_model(model: ModelProto, path: Path) -> None:
    """Check a model and write it under a temporary name, then under its own."""
    onnx.checker.check_model(model)
    unfinished = path.with_suffix(".unfinished")
    onnx.save_model(model, unfinished)
    unfinished.replace(path)


def initializers(model: ModelProto) -> dict[str, TensorProto]:
    """Weights and other stored constants, by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def constants(model: ModelProto) -> dict[str, NDArray[np.generic]]:
    """Values of all constants: the stored ones and those of Constant nodes."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return values


def producers(model: ModelProto) -> dict[str, NodeProto]:
    """The node that writes each tensor."""
    return {output: node for node in model.graph.node for output in node.output}


def readers(model: ModelProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor."""
    reading = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            reading[name].append(node)
    return reading


def add_constant(model: ModelProto, name: str, value: NDArray[np.generic]) -> None:
    """Store a constant."""
    # Not ascontiguousarray, which makes an array of one entry of a scalar.
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), name))


def replace_nodes(model: ModelProto, old: list[NodeProto], new: list[NodeProto]) -> None:
    """Put new nodes where the last of the old ones stood."""
    # The last of the old nodes comes after everything that any of them reads.
    place = next(i for i, node in enumerate(model.graph.node) if node is old[-1] or node == old[-1])
    for offset, node in enumerate(new):
        model.graph.node.insert(place + offset, node)
    for node in old:
        model.graph.node.remove(node)


def drop_unused(model: ModelProto) -> None:
    """Remove nodes and constants that nothing reads any more."""
    graph = model.graph
    while True:
        used = {name for node in graph.node for name in node.input}
        used |= {output.name for output in graph.output}
        unused = [node for node in graph.node if not used.intersection(node.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)

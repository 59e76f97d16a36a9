"""Edits that bring canonical INT8 into the layout that TensorRT takes.

Zero points are 0 and integer constants stand before a DequantizeLinear only (NVIDIA, "Working with
quantized types").
"""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from .graph import add_constant, constants, drop_unused, initializers, producers, replace_nodes


def center_activations(model: ModelProto) -> int:
    """Widen the range of every quantized activation to one that is symmetric around 0.

    Returns:
        How many activations are quantized.
    """
    stored = initializers(model)
    pairs = {
        (node.input[1], node.input[2])
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }
    for scale_name, zero_name in pairs:
        scale = numpy_helper.to_array(stored[scale_name])
        zero_point = numpy_helper.to_array(stored[zero_name]).astype(np.int64)
        steps = np.maximum(128 + zero_point, 127 - zero_point)  # on the longer side of 0
        if zero_point.any():
            centered = (scale * steps / 127).astype(np.float32)
            stored[scale_name].CopyFrom(numpy_helper.from_array(centered, scale_name))
            nothing = np.zeros_like(zero_point, dtype=np.int8)
            stored[zero_name].CopyFrom(numpy_helper.from_array(nothing, zero_name))
    return len(pairs)


def release_single_queries(model: ModelProto) -> int:
    """Let attention with a single query read float tensors instead of quantized ones.

    The last layer asks for the first position only (`first_position.py`). TensorRT has such an
    attention in one kernel in FP16; with Q/DQ it becomes two products and a softmax between them.

    Returns:
        How many of its products had quantized inputs.
    """
    producer, values = producers(model), constants(model)
    single: set[str] = set()
    count = 0
    for node in model.graph.node:
        if not single.intersection(node.input) and not _takes_first(node, values):
            continue
        single.update(node.output)
        sources = [_before_quantization(name, producer, values) for name in node.input]
        if node.op_type == "MatMul" and None not in sources:
            node.ClearField("input")
            node.input.extend(name for name in sources if name is not None)
            count += 1
    drop_unused(model)
    return count


def dequantize_tables(model: ModelProto) -> int:
    """Store embedding tables with INT8 rows in float, with the values that the rows have.

    Returns:
        How many tables there are.
    """
    stored, producer = initializers(model), producers(model)
    count = 0
    for product in [node for node in model.graph.node if node.op_type == "Mul"]:
        cast, scales = (producer.get(name) for name in product.input)
        if cast is None or cast.op_type != "Cast":
            continue
        rows = producer.get(cast.input[0])
        if rows is None or rows.op_type != "Gather" or rows.input[0] not in stored:
            continue
        if scales is None or scales.op_type != "Gather" or scales.input[1] != rows.input[1]:
            continue
        values, steps = (numpy_helper.to_array(stored[node.input[0]]) for node in (rows, scales))
        name = f"{rows.input[0]}_float"
        add_constant(model, name, (values * steps).astype(np.float32))
        gather = helper.make_node("Gather", [name, rows.input[1]], product.output, rows.name)
        replace_nodes(model, [rows, scales, cast, product], [gather])
        count += 1
    drop_unused(model)
    return count


def _takes_first(node: NodeProto, values: dict[str, NDArray[np.generic]]) -> bool:
    """Say whether a node cuts its input to the first entry of an axis."""
    if node.op_type != "Slice":
        return False
    bounds = [values.get(name) for name in node.input[1:3]]
    return [None if bound is None else bound.tolist() for bound in bounds] == [[0], [1]]


def _before_quantization(
    name: str, producer: dict[str, NodeProto], values: dict[str, NDArray[np.generic]]
) -> str | None:
    """Return what an activation was before its Q/DQ; None if it is stored or has no Q/DQ."""
    for op_type in ("DequantizeLinear", "QuantizeLinear"):
        node = producer.get(name)
        if node is None or node.op_type != op_type:
            return None
        name = node.input[0]
    return None if name in values else name

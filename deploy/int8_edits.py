"""Edits that quantize or lower a graph: each returns how many places it changed."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from .graph import add_constant, drop_unused, initializers, producers, readers, replace_nodes

# Tables with fewer rows (token types, relative positions) weigh nothing.
MIN_TABLE_ROWS = 256

# U8S8 products without VNNI are added in pairs in 16 bits: 255 * 64 * 2 still fits, * 127 does not.
SATURATION_FREE_MAX = 64

CONTRIB_DOMAIN = "com.microsoft"


def quantize_embedding_rows(model: ModelProto) -> int:
    """Keep every large float table that Gather reads in INT8, one symmetric scale a row.

    Rows and scales are gathered first and multiplied after: a DequantizeLinear before the Gather
    would dequantize the whole table in every call. What is gathered may itself enter a quantized
    product, whose scale is called `<tensor>_scale`.
    """
    tables = initializers(model)
    count = 0
    for node in list(model.graph.node):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or not _is_large_table(table):
            continue
        rows = numpy_helper.to_array(table)
        scale = _symmetric_scale(rows, axis=1, limit=127)
        base, out = table.name, node.output[0]
        add_constant(model, f"{base}_rows", _quantized(rows, scale, 127))
        add_constant(model, f"{base}_row_scale", scale)
        indices = node.input[1]
        replace_nodes(
            model,
            [node],
            [
                helper.make_node("Gather", [f"{base}_rows", indices], [f"{out}_int8"]),
                helper.make_node("Gather", [f"{base}_row_scale", indices], [f"{out}_row_scale"]),
                helper.make_node("Cast", [f"{out}_int8"], [f"{out}_cast"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{out}_cast", f"{out}_row_scale"], [out]),
            ],
        )
        count += 1
    drop_unused(model)
    return count


def quantize_lstms(model: ModelProto) -> int:
    """Keep the weights of every LSTM in INT8, one symmetric scale a gate row.

    Both directions share the scales, because DequantizeLinear has one axis. Activations stay in
    float: they are quantized anew at every step, where the runtime can.
    """
    count = 0
    for node in [node for node in model.graph.node if node.op_type == "LSTM"]:
        for index in (1, 2):  # input and recurrent weights: (directions, 4 * hidden, inputs)
            node.input[index] = quantize_weight(model, node.input[index])
        count += 1
    drop_unused(model)
    return count


def quantize_weight(model: ModelProto, name: str) -> str:
    """Store a weight in INT8 as well, with one symmetric scale per entry of its second axis.

    Returns:
        The tensor that dequantizes it; several readers share one.
    """
    read = f"{name}_dequantized"
    if read in producers(model):
        return read
    values = numpy_helper.to_array(initializers(model)[name])
    others = tuple(axis for axis in range(values.ndim) if axis != 1)
    scale = _symmetric_scale(values, axis=others, limit=127)
    stored = [f"{name}_quantized", f"{name}_scale", f"{name}_zero_point"]
    add_constant(model, stored[0], _quantized(values, scale, 127))
    add_constant(model, stored[1], scale.reshape(-1))
    add_constant(model, stored[2], np.zeros(scale.size, dtype=np.int8))
    node = helper.make_node("DequantizeLinear", stored, [read], f"{name}_dequantize", axis=1)
    model.graph.node.insert(0, node)
    return read


def shift_zero_points(model: ModelProto) -> int:
    """Store activations as uint8, 128 above their int8 value; weights stay int8.

    Every value is the same, but ONNX Runtime's fast kernels on x86-64 multiply uint8 by int8.
    """
    stored = initializers(model)
    shifted = set()
    for node in model.graph.node:
        is_activation = node.op_type == "QuantizeLinear" or (
            node.op_type == "DequantizeLinear" and node.input[0] not in stored
        )
        if is_activation and node.input[2] in stored:  # dynamic ones are uint8 by themselves
            shifted.add(node.input[2])
    for name in shifted:
        old = numpy_helper.to_array(stored[name])
        if old.dtype != np.int8:
            raise ValueError(f"{name} is {old.dtype} {old}, expected an int8 zero point")
        new = (old.astype(np.int16) + 128).astype(np.uint8)
        stored[name].CopyFrom(numpy_helper.from_array(new, name))
    return len(shifted)


def narrow_weights(model: ModelProto, exported: ModelProto) -> int:
    """Quantize weights again from their float values, to 7 bits.

    Args:
        model: INT8 model as onnxruntime's quantizer writes it (`X` becomes `X_quantized`).
        exported: The float model it was made from.
    """
    floats = initializers(exported)
    stored = initializers(model)
    count = 0
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in stored:
            continue
        weight = numpy_helper.to_array(floats[node.input[0].removesuffix("_quantized")])
        channels = next((a.i for a in node.attribute if a.name == "axis"), 1)
        others = tuple(axis for axis in range(weight.ndim) if axis != channels)
        scale = _symmetric_scale(weight, axis=others, limit=SATURATION_FREE_MAX)
        new = _quantized(weight, scale, SATURATION_FREE_MAX)
        stored[node.input[0]].CopyFrom(numpy_helper.from_array(new, node.input[0]))
        stored[node.input[1]].CopyFrom(numpy_helper.from_array(scale.reshape(-1), node.input[1]))
        count += 1
    return count


def fuse_integer_matmuls(model: ModelProto) -> int:
    """Write DequantizeLinear, MatMul and bias Add as ONNX Runtime's MatMulIntegerToFloat.

    ONNX Runtime does this itself, but leaves the bias as an operator of its own.
    """
    producer = producers(model)
    reading = readers(model)
    stored = initializers(model)
    count = 0
    for node in [node for node in model.graph.node if node.op_type == "MatMul"]:
        pair = [producer.get(name) for name in node.input]
        if any(side is None or side.op_type != "DequantizeLinear" for side in pair):
            continue
        activation, weight = (list(side.input) for side in pair if side is not None)
        if weight[0] not in stored:
            continue
        nodes, bias, out = [node], [], node.output[0]
        following = reading[node.output[0]]
        if len(following) == 1 and following[0].op_type == "Add":
            bias = [name for name in following[0].input if name in stored]
            if bias:
                nodes, out = [node, following[0]], following[0].output[0]
        inputs = [activation[0], weight[0], activation[1], weight[1], activation[2], weight[2]]
        fused = helper.make_node(
            "MatMulIntegerToFloat", inputs + bias, [out], f"{node.name}_int8", domain=CONTRIB_DOMAIN
        )
        replace_nodes(model, nodes, [fused])
        count += 1
    _import_contrib(model)
    drop_unused(model)
    return count


def fuse_lstms(model: ModelProto) -> int:
    """Write an LSTM with INT8 weights as ONNX Runtime's DynamicQuantizeLSTM.

    It quantizes the activations of every step itself and multiplies in integers.
    """
    producer = producers(model)
    stored = initializers(model)
    count = 0
    for node in [node for node in model.graph.node if node.op_type == "LSTM"]:
        pair = [producer.get(name) for name in node.input[1:3]]
        if any(side is None or side.op_type != "DequantizeLinear" for side in pair):
            continue
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        for index, side in enumerate(side for side in pair if side is not None):
            weight, scale, zero_point = (numpy_helper.to_array(stored[n]) for n in side.input)
            names = [f"{name}_lstm" for name in side.input]
            add_constant(model, names[0], weight.transpose(0, 2, 1))
            for name, row in zip(names[1:], (scale, zero_point), strict=True):
                add_constant(model, name, np.tile(row, (len(weight), 1)))
            inputs[1 + index] = names[0]
            inputs += names[1:]
        fused = helper.make_node(
            "DynamicQuantizeLSTM", inputs, node.output, f"{node.name}_int8", domain=CONTRIB_DOMAIN
        )
        fused.attribute.extend(node.attribute)
        replace_nodes(model, [node], [fused])
        count += 1
    _import_contrib(model)
    drop_unused(model)
    return count


def _import_contrib(model: ModelProto) -> None:
    if CONTRIB_DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(CONTRIB_DOMAIN, 1))


def _is_large_table(tensor: TensorProto) -> bool:
    return (
        tensor.data_type == TensorProto.FLOAT
        and len(tensor.dims) == 2
        and tensor.dims[0] >= MIN_TABLE_ROWS
    )


def _symmetric_scale(
    values: NDArray[np.float32], axis: int | tuple[int, ...], limit: int
) -> NDArray[np.float32]:
    largest = np.abs(values).max(axis=axis, keepdims=True)
    return (np.where(largest > 0, largest, 1.0) / limit).astype(np.float32)


def _quantized(
    values: NDArray[np.float32], scale: NDArray[np.float32], limit: int
) -> NDArray[np.int8]:
    rounded: NDArray[np.float32] = np.rint(values / scale)
    return rounded.clip(-limit, limit).astype(np.int8)

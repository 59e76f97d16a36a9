"""Edits of the exported float graph: each a function that returns how many places it changed.

None depends on names that an exporter chose: they match operators, shapes and constants.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .graph import (
    add_constant,
    constants,
    drop_unused,
    initializers,
    producers,
    readers,
    replace_nodes,
)

# Far below any attention score, yet no strain on an INT8 range or on FP16.
MASK_VALUE = -1e4
MASK_LIMIT = -1e30


def repair_mask(model: ModelProto) -> int:
    """Replace mask constants such as -3.4e38 and -inf by -1e4.

    They make padding NaN or overflow as soon as a tensor that they reach is quantized or halved.
    """
    tensors = [*model.graph.initializer]
    for node in model.graph.node:
        if node.op_type in ("Constant", "ConstantOfShape"):
            tensors += [attribute.t for attribute in node.attribute if attribute.name == "value"]
    count = 0
    for tensor in tensors:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if (values < MASK_LIMIT).any():
            repaired = np.where(values < MASK_LIMIT, np.float32(MASK_VALUE), values)
            tensor.CopyFrom(numpy_helper.from_array(repaired, tensor.name))
            count += 1
    return count


def broadcast_mask(model: ModelProto) -> int:
    """Compute the attention mask as (batch, 1, 1, seq) straight from `attention_mask`.

    transformers expands it to (batch, 1, seq, seq) with some thirty small operators. Only a
    `Where` that chooses between 0 and the repaired constant, and that is added to nothing but
    attention scores (or a bias on its way to them), is replaced; that it says the same is shown by
    the export's parity check.
    """
    values = constants(model)
    reading = readers(model)
    count = 0
    for node in [node for node in model.graph.node if node.op_type == "Where"]:
        branches = [values.get(name) for name in node.input[1:]]
        if _is_mask_choice(branches) and _is_added_to_scores(node, reading):
            replace_nodes(model, [node], _mask_nodes(model, node.output[0]))
            count += 1
    drop_unused(model)
    return count


def choose_mask(model: ModelProto) -> int:
    """Write the mask of `broadcast_mask` as a choice between 0 and -1e4, the same numbers.

    Where a bias is a constant, as one on distances is at a fixed length, OpenVINO's INT8 passes add
    -1e4 to it first: of `(1 - keep) * -1e4 + bias` half of a float's digits are lost. A choice is
    no sum.
    """
    producer, values = producers(model), constants(model)
    count = 0
    for scaled in [node for node in model.graph.node if node.op_type == "Mul"]:
        drop = producer.get(scaled.input[0])
        scale = values.get(scaled.input[1])
        if drop is None or drop.op_type != "Sub" or scale is None or np.any(scale != MASK_VALUE):
            continue
        keep = producer.get(drop.input[1])
        if keep is None or keep.op_type != "Cast":
            continue
        nothing, kept = f"{scaled.output[0]}_nothing", f"{scaled.output[0]}_kept"
        add_constant(model, nothing, np.array(0, dtype=np.float32))
        replace_nodes(
            model,
            [scaled],
            [
                helper.make_node("Cast", [keep.input[0]], [kept], to=TensorProto.BOOL),
                helper.make_node("Where", [kept, nothing, scaled.input[1]], scaled.output),
            ],
        )
        count += 1
    drop_unused(model)
    return count


def drop_identities(model: ModelProto) -> int:
    """Let readers of an Identity's output read its input: an exporter shares equal weights so."""
    nodes = [node for node in model.graph.node if node.op_type == "Identity"]
    outputs = {output.name for output in model.graph.output}
    aliases = {node.output[0]: node.input[0] for node in nodes if node.output[0] not in outputs}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            while name in aliases:
                name = aliases[name]
            node.input[index] = name
    drop_unused(model)
    return len(aliases)


def fold_reshapes(model: ModelProto) -> int:
    """Turn shapes computed as (batch, seq, constants) into the constant (0, 0, constants).

    A traced reshape asks for the batch and sequence size that its input already has; 0 says
    `copy it`, and a chain of four small operators disappears.
    """
    producer = producers(model)
    values = constants(model)
    count = 0
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in producer:
            continue
        shape = _copied_shape(producer[node.input[1]], producer, values)
        if shape is not None:
            name = f"{node.output[0]}_shape"
            add_constant(model, name, np.array(shape, dtype=np.int64))
            node.input[1] = name
            count += 1
    drop_unused(model)
    return count


def split_gemms(model: ModelProto) -> int:
    """Write every Gemm with constant weights as MatMul and Add, the form that quantizes."""
    weights = initializers(model)
    count = 0
    for node in list(model.graph.node):
        if node.op_type != "Gemm" or node.input[1] not in weights:
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
        if not plain or attributes.get("transA", 0) or len(node.input) < 3:
            continue
        weight = numpy_helper.to_array(weights[node.input[1]])
        name = f"{node.input[1]}_matmul"
        add_constant(model, name, weight.T if attributes.get("transB", 0) else weight)
        product = f"{node.output[0]}_product"
        replace_nodes(
            model,
            [node],
            [
                helper.make_node("MatMul", [node.input[0], name], [product], f"{node.name}_matmul"),
                helper.make_node("Add", [product, node.input[2]], node.output, f"{node.name}_add"),
            ],
        )
        count += 1
    drop_unused(model)
    return count


def _is_mask_choice(branches: list[NDArray[np.generic] | None]) -> bool:
    sizes = [branch.size for branch in branches if branch is not None]
    if sizes != [1, 1]:
        return False
    return sorted(float(b.reshape(-1)[0]) for b in branches if b is not None) == [MASK_VALUE, 0.0]


def _is_added_to_scores(node: NodeProto, reading: dict[str, list[NodeProto]]) -> bool:
    """Say whether all that reads a node's output is an Add on its way to a Softmax."""
    sums = reading[node.output[0]]
    return bool(sums) and all(
        add.op_type == "Add"
        and (
            [reader.op_type for reader in reading[add.output[0]]] == ["Softmax"]
            or _is_added_to_scores(add, reading)
        )
        for add in sums
    )


def _mask_nodes(model: ModelProto, out: str) -> list[NodeProto]:
    axes, one, scale = f"{out}_axes", f"{out}_one", f"{out}_scale"
    add_constant(model, axes, np.array([1, 2], dtype=np.int64))
    add_constant(model, one, np.array(1, dtype=np.float32))
    add_constant(model, scale, np.array(MASK_VALUE, dtype=np.float32))
    return [
        helper.make_node("Unsqueeze", ["attention_mask", axes], [f"{out}_4d"]),
        helper.make_node("Cast", [f"{out}_4d"], [f"{out}_keep"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [one, f"{out}_keep"], [f"{out}_drop"]),
        helper.make_node("Mul", [f"{out}_drop", scale], [out]),
    ]


def _copied_shape(
    concat: NodeProto, producer: dict[str, NodeProto], values: dict[str, NDArray[np.generic]]
) -> list[int] | None:
    """Sizes of a Reshape, 0 where size k of a tensor lands in place k; None if it is not so."""
    if concat.op_type != "Concat":
        return None
    shape: list[int] = []
    for name in concat.input:
        if name in values:
            shape += [int(size) for size in values[name].reshape(-1)]
        elif _is_size(name, len(shape), producer, values):
            shape.append(0)
        else:
            return None
    return shape


def _is_size(
    name: str,
    axis: int,
    producer: dict[str, NodeProto],
    values: dict[str, NDArray[np.generic]],
) -> bool:
    chain = []
    for op_type in ("Unsqueeze", "Gather", "Shape"):
        node = producer.get(name)
        if node is None or node.op_type != op_type:
            return False
        chain.append(node)
        name = node.input[0]
    index = values.get(chain[1].input[1])
    return index is not None and index.size == 1 and int(index.reshape(-1)[0]) == axis

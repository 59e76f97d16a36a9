"""Edit: what only the first position's answer needs is computed for the first position only.

A classifier reads one position of the last layer, yet the exported graph computes the last layer's
queries, attention output and feed-forward block for every position. Keys and values are all that
the first position needs of the others, so most of a layer's work goes without changing a logit.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from .graph import add_constant, constants, initializers

ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf", "Tanh", "Relu", "Gelu", "Cast"}

# For each input the axis along which its first entry is enough, None if all of it is needed.
Axes: TypeAlias = list[int | None]


def first_position_only(model: ModelProto) -> int:
    """Cut tensors of which only the first position is read, as early in the graph as possible.

    Returns:
        How many products with weights became smaller by it.
    """
    axes_of = _needed_axes(model)
    weights = initializers(model)
    nodes = list(model.graph.node)
    shortened = [
        node
        for number, node in enumerate(nodes)
        if number in axes_of and node.op_type == "MatMul" and node.input[1] in weights
    ]
    if not shortened:
        return 0
    short_outputs = {nodes[number].output[0] for number in axes_of}
    cut: dict[tuple[str, int], str] = {}
    del model.graph.node[:]
    for number, node in enumerate(nodes):
        for index, axis in enumerate(axes_of.get(number, [])):
            name = node.input[index]
            if axis is None or name in short_outputs:
                continue
            if (name, axis) not in cut:
                cut[name, axis] = f"{name}_first_{axis}"
                model.graph.node.append(_slice(model, name, axis, cut[name, axis]))
            node.input[index] = cut[name, axis]
        model.graph.node.append(node)
    # What the exporter noted about sizes no longer holds.
    del model.graph.value_info[:]
    return len(shortened)


def _needed_axes(model: ModelProto) -> dict[int, Axes]:
    """Find, from the end of the graph, the nodes of whose output only the first entry is read.

    Returns:
        Number of each such node -> along which axis each of its inputs can be cut.
    """
    values, ranks = constants(model), _ranks(model)
    wanted: dict[str, set[int | None]] = defaultdict(set)
    for output in model.graph.output:
        wanted[output.name].add(None)
    found: dict[int, Axes] = {}
    for number, node in reversed(list(enumerate(model.graph.node))):
        if _takes_first_position(node, values):
            wanted[node.input[0]].add(1)
            continue
        axis = next(iter(wanted[node.output[0]])) if len(wanted[node.output[0]]) == 1 else None
        axes = None if axis is None else _input_axes(node, axis, values, ranks)
        if axes is not None:
            found[number] = axes
        for name, needed in zip(node.input, axes or [None] * len(node.input), strict=True):
            if name not in values:
                wanted[name].add(needed)
    return found


def _takes_first_position(node: NodeProto, values: dict[str, NDArray[np.generic]]) -> bool:
    if node.op_type != "Gather" or _attribute(node, "axis", 0) != 1:
        return False
    index = values.get(node.input[1])
    return index is not None and index.ndim == 0 and int(index) == 0


def _input_axes(
    node: NodeProto, axis: int, values: dict[str, NDArray[np.generic]], ranks: dict[str, int]
) -> Axes | None:
    """Return which axis of each input an output cut along `axis` needs; None if not known."""
    rank = ranks.get(node.output[0], 0)
    others: Axes = [None] * (len(node.input) - 1)
    last = _attribute(node, "axis", -1) in (-1, rank - 1)
    if node.op_type in ELEMENTWISE:
        return _elementwise_axes(node, axis, rank, values, ranks)
    if node.op_type in ("LayerNormalization", "Softmax") and last and axis != rank - 1:
        return [axis, *others]
    if node.op_type == "MatMul" and axis == rank - 2:
        return [axis, *others]
    if node.op_type == "Transpose":
        return [_attribute(node, "perm", list(range(rank))[::-1])[axis]]
    if node.op_type == "Reshape" and node.input[1] in values:
        copied = values[node.input[1]].reshape(-1)[: axis + 1]
        return [axis, *others] if not copied.any() else None
    return None


def _elementwise_axes(
    node: NodeProto,
    axis: int,
    rank: int,
    values: dict[str, NDArray[np.generic]],
    ranks: dict[str, int],
) -> Axes | None:
    axes: Axes = []
    for name in node.input:
        if name in values:
            aligned = values[name].ndim - (rank - axis)
            if aligned >= 0 and values[name].shape[aligned] != 1:
                return None
            axes.append(None)
        elif ranks.get(name) == rank:
            axes.append(axis)
        else:
            return None
    return axes


def _ranks(model: ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in _typed(inferred)
        if value.type.tensor_type.HasField("shape")
    }


def _typed(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.value_info
    yield from graph.output


def _slice(model: ModelProto, name: str, axis: int, out: str) -> NodeProto:
    bounds = []
    for what, value in (("start", 0), ("end", 1), ("axis", axis)):
        bounds.append(f"{out}_{what}")
        add_constant(model, bounds[-1], np.array([value], dtype=np.int64))
    return helper.make_node("Slice", [name, *bounds], [out])


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    found = [a for a in node.attribute if a.name == name]
    return helper.get_attribute_value(found[0]) if found else default

"""Edit: FP16 for all but the islands that need FP32's range.

A strongly typed TensorRT network computes in the types that its file says. Which operators stay in
FP32 follows autocast (Micikevicius et al. 2018, "Mixed Precision Training"): FP16 ends at 65504,
and the squares in a LayerNorm pass it as soon as a value passes 256. What is counted from whole
numbers (lengths, masks, distances) stays in FP32 until it meets a value in FP16, because FP16
counts to 2048.
"""

import logging
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, version_converter

from .graph import add_constant, constants, drop_unused

logger = logging.getLogger(__name__)

# The first opset whose QuantizeLinear and DequantizeLinear take FP16; TensorRT 10.3 reads up to 20.
OPSET_OF_HALF_SCALES = 19

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
LARGEST, SMALLEST_NORMAL = float(np.finfo(np.float16).max), float(np.finfo(np.float16).tiny)

ALWAYS_FLOAT = {
    "LayerNormalization",
    "Pow",
    "ReduceMean",
    "ReduceSum",
    "ReduceL2",
    "Sqrt",
    "Exp",
    "LSTM",  # TensorRT's parser mixes FP32 into one in FP16 and then refuses it
}
ALWAYS_HALF = {"MatMul", "Gemm", "Softmax", "Gather", "QuantizeLinear", "DequantizeLinear"}
# In FP32 with any input in FP32: both ends of a LayerNorm that is written out.
FLOAT_WITH_ANY = {"Sub", "Div"}
SCALED = {"QuantizeLinear", "DequantizeLinear"}


def halve(model: ModelProto) -> int:
    """Compute in FP16 whatever does not need FP32, in place; inputs and outputs keep their types.

    Scales of Q/DQ become FP16 too, because the type of a DequantizeLinear's output is that of its
    scale. An operator with a constant that FP16 cannot hold stays in FP32, and the log says so.

    Returns:
        How many operators compute in FP16.
    """
    model.CopyFrom(version_converter.convert_version(model, OPSET_OF_HALF_SCALES))
    return _Halving(model).run()


class _Halving:
    """One walk through the graph, in its order.

    Attributes:
        types: Type of every float tensor as it is written so far.
        copies: Name of the copy of a tensor in the other type, by tensor and type.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._floats = set(_float_tensors(model))
        self._constants = {
            name: value for name, value in constants(model).items() if value.dtype == np.float32
        }
        self._types: dict[str, int] = {
            node.name: FLOAT for node in model.graph.input if node.name in self._floats
        }
        self._copies: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []

    def run(self) -> int:
        nodes = [node for node in self._model.graph.node if node.op_type != "Constant"]
        whole = [node for node in self._model.graph.node if node.op_type == "Constant"]
        self._nodes += [node for node in whole if node.output[0] not in self._constants]
        stored = {tensor.name for tensor in self._model.graph.initializer}
        for name in self._constants.keys() - stored:
            add_constant(self._model, name, self._constants[name])
        halved = sum(self._convert(node) for node in nodes)
        del self._model.graph.node[:]
        self._model.graph.node.extend(self._nodes)
        del self._model.graph.value_info[:]  # what the exporter noted about types no longer holds
        drop_unused(self._model)
        return halved

    def _convert(self, node: NodeProto) -> bool:
        """Write a node in its type, with casts where its inputs have another."""
        kind = self._kind(node)
        for index, name in enumerate(node.input):
            if name in self._floats or name in self._constants:
                node.input[index] = self._as(name, kind)
        if node.op_type == "Cast" and node.attribute[0].i == FLOAT:
            node.attribute[0].i = kind
        self._nodes.append(node)
        outputs = {output.name for output in self._model.graph.output}
        for index, name in enumerate(node.output):
            if name not in self._floats:
                continue
            self._types[name] = kind
            if name in outputs and kind == HALF:
                node.output[index] = f"{name}_half"
                self._nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=FLOAT))
        return kind == HALF and bool(self._floats.intersection([*node.input, *node.output]))

    def _kind(self, node: NodeProto) -> int:
        types = [self._types[name] for name in node.input if name in self._types]
        if node.op_type in ALWAYS_FLOAT:
            return FLOAT
        if node.op_type not in ALWAYS_HALF:
            if all(kind == FLOAT for kind in types):
                return FLOAT
            if node.op_type in FLOAT_WITH_ANY and FLOAT in types:
                return FLOAT
        too_wide = [name for name in node.input if self._is_too_wide(node, name)]
        if too_wide:
            logger.info(
                "%s %s stays in FP32: FP16 does not hold %s", node.op_type, node.name, too_wide[0]
            )
            return FLOAT
        return HALF

    def _is_too_wide(self, node: NodeProto, name: str) -> bool:
        value = self._constants.get(name)
        return value is not None and not fits_half(value, is_scale=node.op_type in SCALED)

    def _as(self, name: str, kind: int) -> str:
        """Name of a tensor in a type; writes the cast, or the converted constant, once."""
        if self._types.get(name, FLOAT) == kind:
            return name
        if (name, kind) not in self._copies:
            copy = f"{name}_{'half' if kind == HALF else 'float'}"
            self._copies[name, kind] = copy
            if name in self._constants:
                add_constant(self._model, copy, self._constants[name].astype(np.float16))
            else:
                self._nodes.append(helper.make_node("Cast", [name], [copy], to=kind))
        return self._copies[name, kind]


def fits_half(value: NDArray[np.generic], is_scale: bool = False) -> bool:
    """Say whether FP16 holds a constant.

    Args:
        value: The constant, any shape.
        is_scale: Every element divides, so none may lose digits either.
    """
    sizes = np.abs(value[np.isfinite(value)])
    if not sizes.any():
        return True
    lowest = SMALLEST_NORMAL if is_scale else float(np.finfo(np.float16).smallest_subnormal)
    smallest = sizes.min() if is_scale else sizes.max()
    return bool(sizes.max() <= LARGEST and smallest >= lowest)


def _float_tensors(model: ModelProto) -> Iterator[str]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    for values in (graph.input, graph.value_info, graph.output):
        yield from (v.name for v in values if v.type.tensor_type.elem_type == FLOAT)

"""ONNX graphs of single encoder sub-layers of any width, laid out as the engine's are."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from .cpu import Isa
from .graph import OPSET, add_constant
from .int8_edits import fuse_integer_matmuls, shift_zero_points


def attention_graph(
    hidden_size: int,
    heads: int,
    head_size: int,
    copies: int,
    isa: Isa | None,
    first_only: bool = False,
) -> ModelProto:
    """Attention with its residual sum and LayerNorm; without heads, a bias takes its place.

    Args:
        hidden_size: Width of the residual stream.
        heads: Attention heads.
        head_size: Width of a head.
        copies: Sub-layers in a row, each with weights of its own.
        isa: INT8 as it is lowered for this instruction set; None is FP32.
        first_only: Answer for the first position only, as a classifier's last layer does.

    Returns:
        A graph from `states` (1, seq, hidden_size) and `mask` (1, 1, 1, seq).
    """
    graph = _Graph(hidden_size, isa)
    states, width = "states", heads * head_size
    if first_only:
        bounds = (graph.constant(np.array([value])) for value in (0, 1, 1))
        states = graph.add("Slice", "states", *bounds)
    for _ in range(copies):
        others = "states" if first_only else states
        context = None
        if heads:
            query, key, value = (
                graph.add(
                    "Transpose",
                    graph.add(
                        "Reshape",
                        graph.linear(source, hidden_size, width),
                        graph.constant(np.array([0, 0, heads, head_size])),
                    ),
                    perm=order,
                )
                for source, order in (
                    (states, [0, 2, 1, 3]),
                    (others, [0, 2, 3, 1]),
                    (others, [0, 2, 1, 3]),
                )
            )
            scores = graph.add("MatMul", query, key)
            scores = graph.add("Mul", scores, graph.constant(np.float32(head_size**-0.5)))
            weights = graph.add("Softmax", graph.add("Add", scores, "mask"), axis=-1)
            mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
            context = graph.add("Reshape", mixed, graph.constant(np.array([0, 0, width])))
        states = graph.project_and_norm(context, width, states)
    return graph.finish(states)


def feed_forward_graph(hidden_size: int, neurons: int, copies: int, isa: Isa | None) -> ModelProto:
    """The feed-forward sub-layer; arguments and result as in `attention_graph`."""
    graph = _Graph(hidden_size, isa)
    states = "states"
    for _ in range(copies):
        active = None
        if neurons:
            inner = graph.linear(states, hidden_size, neurons)
            scaled = graph.add("Div", inner, graph.constant(np.float32(2**0.5)))
            gate = graph.add("Add", graph.add("Erf", scaled), graph.constant(np.float32(1)))
            active = graph.add(
                "Mul", graph.add("Mul", inner, gate), graph.constant(np.float32(0.5))
            )
        states = graph.project_and_norm(active, neurons, states)
    return graph.finish(states)


class _Graph:
    """Grows node by node; names are numbers."""

    def __init__(self, hidden_size: int, isa: Isa | None) -> None:
        self.hidden_size, self.isa = hidden_size, isa
        self.nodes: list[NodeProto] = []
        self.values: list[Any] = []
        self.random = np.random.default_rng(0)
        self.quantized: dict[str, str] = {}

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
        return output

    def constant(self, value: Any) -> str:
        self.values.append(np.asarray(value))
        return f"c{len(self.values) - 1}"

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        """A product with a weight, quantized as `quantize` does, and a bias."""
        weight = self.random.standard_normal((inputs, outputs), np.float32) / inputs**0.5
        if self.isa is None:
            product = self.add("MatMul", x, self.constant(weight))
        else:
            product = self.add("MatMul", self._quantize(x), self._int8_weight(weight))
        return self.add("Add", product, self.constant(np.zeros(outputs, np.float32)))

    def project_and_norm(self, x: str | None, inputs: int, states: str) -> str:
        """The output projection of `inputs` features, the residual sum and the LayerNorm."""
        size = self.hidden_size
        if x is None:
            projected = self.constant(np.zeros(size, np.float32))
        else:
            projected = self.linear(x, inputs, size)
        scale, bias = (self.constant(np.full(size, v, np.float32)) for v in (1, 0))
        return self.add(
            "LayerNormalization", self.add("Add", projected, states), scale, bias, axis=-1
        )

    def finish(self, output: str) -> ModelProto:
        states: list[str | int | None] = [1, "seq", self.hidden_size]
        mask: list[str | int | None] = [1, 1, 1, "seq"]
        shapes = {"states": states, "mask": mask}
        graph = helper.make_graph(
            self.nodes,
            "sublayer",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, s)
                for name, s in shapes.items()
            ],
            [
                helper.make_tensor_value_info(
                    output, TensorProto.FLOAT, [1, "answers", self.hidden_size]
                )
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        for number, value in enumerate(self.values):
            add_constant(model, f"c{number}", value)
        if self.isa is not None:
            if self.isa in ("x86_64", "x86_64_vnni"):
                shift_zero_points(model)
            fuse_integer_matmuls(model)
        return model

    def _quantize(self, x: str) -> str:
        """Quantize and dequantize, once for all readers of the same tensor."""
        if x not in self.quantized:
            scale = self.constant(np.float32(4 / 127))
            zero_point = self.constant(np.int8(0))
            stored = self.add("QuantizeLinear", x, scale, zero_point)
            self.quantized[x] = self.add("DequantizeLinear", stored, scale, zero_point)
        return self.quantized[x]

    def _int8_weight(self, weight: Any) -> str:
        scale = np.abs(weight).max(0) / 127
        stored = self.constant(np.rint(weight / scale).astype(np.int8))
        zero_points = self.constant(np.zeros(len(scale), np.int8))
        return self.add("DequantizeLinear", stored, self.constant(scale), zero_points, axis=1)

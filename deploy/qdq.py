"""Writing pairs of quantize and dequantize operators before what reads them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from onnx import ModelProto, NodeProto

from .placement import Place

# Operators that write `<tensor>_dequantized`, given the tensor's name.
WritePair: TypeAlias = Callable[[ModelProto, str], list[NodeProto]]


def quantize_inputs(model: ModelProto, chosen: Sequence[Place], write_pair: WritePair) -> None:
    """Let operators read quantized tensors, in place.

    A tensor has one pair for all operators that read it quantized; all others read it in float, so
    that residual sums lose no precision unless they are asked to.
    """
    nodes, done = [], set()
    for node in model.graph.node:
        for place in (place for place in chosen if place.node is node):
            tensor = place.tensor
            if tensor not in done:
                nodes += write_pair(model, tensor)
                done.add(tensor)
            node.input[place.position] = dequantized(tensor)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def dequantized(tensor: str) -> str:
    """Name of what stands for a tensor after its pair."""
    return f"{tensor}_dequantized"

"""Static INT8 with explicit Q/DQ: a float graph, a calibration table and a placement in one."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from .activation_ranges import Range, activation_range
from .calibration_table import CalibrationTable
from .config import QuantizeConfig
from .graph import add_constant, drop_unused
from .int8_edits import quantize_embedding_rows, quantize_lstms, quantize_weight
from .placement import places, quantizable_matmuls


def quantized_model(
    exported: ModelProto,
    table: CalibrationTable,
    config: QuantizeConfig,
    *,
    symmetric: bool = False,
) -> ModelProto:
    """Quantize an exported model.

    Weights are INT8 per output channel and symmetric, activations INT8 per tensor. A tensor has one
    pair of Q and DQ for all operators that read it quantized; all others read it in float, so that
    residual sums lose no precision unless they are asked to.

    Args:
        exported: Float model, which stays as it is.
        table: What was seen of its activations.
        config: Placement, and how ranges are chosen.
        symmetric: Zero points of 0, which TensorRT wants. Otherwise a range is what the values
            need: what GELU puts out has no negative side to speak of, and one-sided outliers are
            common behind LayerNorm; a zero point costs CPUs nothing.

    Returns:
        The quantized model: the layout for TensorRT if symmetric, else the canonical one.
    """
    model = ModelProto()
    model.CopyFrom(exported)
    ranges = placed_ranges(model, table, config, symmetric)
    _quantize_activations(model, ranges, config, symmetric)
    for node in quantizable_matmuls(model):
        node.input[1] = quantize_weight(model, node.input[1])
    if config.embeddings:
        quantize_embedding_rows(model)
    quantize_lstms(model)
    drop_unused(model)
    return model


def placed_ranges(
    model: ModelProto, table: CalibrationTable, config: QuantizeConfig, symmetric: bool = False
) -> dict[str, Range]:
    """Return the range of every activation that is quantized, by its tensor."""
    chosen = places(model, attention=config.attention, residuals=config.residuals)
    return {
        tensor: activation_range(table.tensors[tensor], config.calibration, symmetric)
        for tensor in dict.fromkeys(place.tensor for place in chosen)
    }


def _quantize_activations(
    model: ModelProto, ranges: dict[str, Range], config: QuantizeConfig, symmetric: bool
) -> None:
    """Put each pair before the first operator that reads it."""
    chosen = places(model, attention=config.attention, residuals=config.residuals)
    nodes, done = [], set()
    for node in model.graph.node:
        for place in (place for place in chosen if place.node is node):
            tensor = place.tensor
            if tensor not in done:
                nodes += _pair(model, tensor, *_scale_and_zero_point(ranges[tensor], symmetric))
                done.add(tensor)
            node.input[place.position] = f"{tensor}_dequantized"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _pair(
    model: ModelProto, tensor: str, scale: NDArray[np.float32], zero_point: NDArray[np.int8]
) -> list[NodeProto]:
    constants = [f"{tensor}_scale", f"{tensor}_zero_point"]
    add_constant(model, constants[0], scale)
    add_constant(model, constants[1], zero_point)
    stored, read = f"{tensor}_quantized", f"{tensor}_dequantized"
    return [
        helper.make_node("QuantizeLinear", [tensor, *constants], [stored], f"{tensor}_quantize"),
        helper.make_node("DequantizeLinear", [stored, *constants], [read], f"{tensor}_dequantize"),
    ]


def _scale_and_zero_point(
    covered: Range, symmetric: bool
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    low, high = covered
    step = (high - low) / (254 if symmetric else 255)
    if step < np.finfo(np.float32).tiny:  # nothing but zeros was seen
        return np.array(1, dtype=np.float32), np.array(0, dtype=np.int8)
    zero_point = 0 if symmetric else round(-128 - low / step)
    return np.array(step, dtype=np.float32), np.array(zero_point, dtype=np.int8)

"""Static INT8: explicit Q/DQ with ranges from a calibration table."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from .activation_ranges import Range, activation_range
from .calibration_table import CalibrationTable
from .config import QuantizeConfig
from .graph import add_constant
from .int8_edits import quantize_weight
from .placement import KeepFloat, places, quantizable_matmuls
from .qdq import dequantized, quantize_inputs


def static_int8(
    model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    *,
    symmetric: bool,
    keep_float: KeepFloat,
) -> dict[str, Range]:
    """Quantize weights per output channel and activations per tensor, in place.

    Args:
        model: Exported float model.
        table: What was seen of its activations.
        config: Placement, and how ranges are chosen.
        symmetric: Zero points of 0, which TensorRT wants. Otherwise a range is what the values
            need: what GELU puts out has no negative side to speak of, and one-sided outliers are
            common behind LayerNorm; a zero point costs CPUs nothing.
        keep_float: Names of operators that stay in float.

    Returns:
        The range of each quantized activation, by its tensor.
    """
    assert table is not None, "static INT8 needs a calibration table"
    chosen = places(
        model, attention=config.attention, residuals=config.residuals, keep_float=keep_float
    )
    ranges = {
        tensor: activation_range(table.tensors[tensor], config.calibration, symmetric)
        for tensor in dict.fromkeys(place.tensor for place in chosen)
    }
    quantize_inputs(
        model, chosen, lambda model, tensor: _pair(model, tensor, ranges[tensor], symmetric)
    )
    for node in quantizable_matmuls(model, keep_float):
        node.input[1] = quantize_weight(model, node.input[1])
    return ranges


def _pair(model: ModelProto, tensor: str, covered: Range, symmetric: bool) -> list[NodeProto]:
    scale, zero_point = _scale_and_zero_point(covered, symmetric)
    constants = [f"{tensor}_scale", f"{tensor}_zero_point"]
    add_constant(model, constants[0], scale)
    add_constant(model, constants[1], zero_point)
    stored = f"{tensor}_quantized"
    return [
        helper.make_node("QuantizeLinear", [tensor, *constants], [stored], f"{tensor}_quantize"),
        helper.make_node(
            "DequantizeLinear",
            [stored, *constants],
            [dequantized(tensor)],
            f"{tensor}_dequantize",
        ),
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

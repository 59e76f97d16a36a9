"""Dynamic INT8: the range of an activation is that of the text at hand, found at run time."""

from onnx import ModelProto, NodeProto, helper

from pocketbert.compress.errors import ModelError

from .activation_ranges import Range
from .calibration_table import CalibrationTable
from .config import QuantizeConfig
from .int8_edits import quantize_weight
from .placement import KeepFloat, places, quantizable_matmuls
from .qdq import dequantized, quantize_inputs


def dynamic_int8(
    model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    *,
    symmetric: bool,
    keep_float: KeepFloat,
) -> dict[str, Range]:
    """Quantize weights per output channel, and what they are multiplied with as it comes, in place.

    The pair is ONNX's DynamicQuantizeLinear (uint8, the whole range) and DequantizeLinear. The
    lowering fuses products into U8S8 kernels as it does those of static INT8, weights in 7 bits
    where the processor has no VNNI; query, key and value share one pair.

    Args:
        model: Exported float model.
        table: Not needed.
        config: Nothing of it counts but the method.
        symmetric: There is no such layout.
        keep_float: Names of operators that stay in float.

    Returns:
        Nothing: no range is fixed.

    Raises:
        ModelError: A symmetric layout is asked for.
    """
    del table, config
    if symmetric:
        raise ModelError(
            "quantize.method is dynamic, expected static or smoothquant for a target that takes "
            "zero points of 0 only (TensorRT); change the method or the target"
        )
    chosen = places(model, attention=False, residuals=False, keep_float=keep_float)
    quantize_inputs(model, chosen, _pair)
    for node in quantizable_matmuls(model, keep_float):
        node.input[1] = quantize_weight(model, node.input[1])
    return {}


def _pair(_: ModelProto, tensor: str) -> list[NodeProto]:
    found = [f"{tensor}_{what}" for what in ("quantized", "scale", "zero_point")]
    return [
        helper.make_node("DynamicQuantizeLinear", [tensor], found, f"{tensor}_quantize"),
        helper.make_node("DequantizeLinear", found, [dequantized(tensor)], f"{tensor}_dequantize"),
    ]

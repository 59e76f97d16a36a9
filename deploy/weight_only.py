"""Weights in blocks of few bits, activations in float: for size, not for speed."""

import logging
from typing import Any

from onnx import ModelProto

from pocketbert.compress.errors import ModelError

from .activation_ranges import Range
from .calibration_table import CalibrationTable
from .config import QuantizeConfig
from .placement import KeepFloat, quantizable_matmuls

# Activations are quantized to INT8 per block inside the kernel (ONNX Runtime's contrib operators).
INT8_KERNEL = 4


def weight_only(
    model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    *,
    symmetric: bool,
    keep_float: KeepFloat,
) -> dict[str, Range]:
    """Write products with weights as ONNX Runtime's MatMulNBits, in place.

    Args:
        model: Exported float model.
        table: Not needed.
        config: Bits and block size.
        symmetric: There is no layout for other runtimes.
        keep_float: Names of operators that stay in float.

    Returns:
        Nothing: no activation is quantized.

    Raises:
        ModelError: A symmetric layout is asked for.
    """
    del table
    if symmetric:
        raise ModelError(
            "quantize.method is weight_only, expected static or smoothquant for a target other "
            "than ONNX Runtime; change the method or the target"
        )
    chosen = {node.name for node in quantizable_matmuls(model, keep_float)}
    _quantizer()(
        model,
        bits=config.weight_bits,
        block_size=config.block_size,
        is_symmetric=True,
        accuracy_level=INT8_KERNEL,
        nodes_to_exclude=[node.name for node in model.graph.node if node.name not in chosen],
        op_types_to_quantize=("MatMul",),
    ).process()
    return {}


def _quantizer() -> Any:
    """Import ONNX Runtime's quantizer without what it does to the program's log."""
    root = logging.getLogger()
    root.addHandler(silent := logging.NullHandler())  # else it installs one that prints everything
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    root.removeHandler(silent)
    logging.getLogger(MatMulNBitsQuantizer.__module__).setLevel(logging.WARNING)
    return MatMulNBitsQuantizer

"""The quantize stage: canonical INT8, explicit Q/DQ where the placement says so."""

import json
from pathlib import Path
from typing import Any

from .activations import load_float_model
from .calibration_table import CALIBRATION, read_table
from .config import QuantizeConfig
from .explicit_int8 import placed_ranges, quantized_model
from .graph import save_model, weight_matmuls
from .placement import quantizable_matmuls


def quantize(
    *, out: Path, config: QuantizeConfig, calibrated: Path, exported: Path
) -> dict[str, Any]:
    """Quantize an exported model once for all targets.

    Args:
        out: Gets `model.onnx` and `calibration.json` (tensor name to lowest and highest value that
            its steps cover).
        config: Placement, and how ranges are chosen.
        calibrated: Folder of the calibrate stage.
        exported: Folder of the export stage.

    Returns:
        `quantized_matmuls`, `float_weight_matmuls`, `quantized_activations`, `calibration_texts`,
        `bytes`.

    Raises:
        ModelError: The model is quantized already, or the table belongs to another graph.
    """
    model = load_float_model(exported / "model.onnx")
    table = read_table(calibrated / CALIBRATION, exported / "model.onnx")
    save_model(quantized_model(model, table, config), out / "model.onnx")
    ranges = placed_ranges(model, table, config)
    (out / "calibration.json").write_text(json.dumps(ranges, indent=2) + "\n")
    quantized = len(quantizable_matmuls(model))
    return {
        "quantized_matmuls": quantized,
        "float_weight_matmuls": len(weight_matmuls(model)) - quantized,
        "quantized_activations": len(ranges),
        "calibration_texts": table.texts,
        "bytes": (out / "model.onnx").stat().st_size,
    }

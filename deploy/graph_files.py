"""Which graphs a model is: one, or an encoder and a decoder that writes with a cache."""

from pathlib import Path

from .calibration_table import CALIBRATION

MODEL = "model.onnx"
DECODER = "decoder.onnx"


def graphs_of(folder: Path) -> list[str]:
    """Name the graphs in a folder of the export or quantize stage."""
    return [name for name in (MODEL, DECODER) if name == MODEL or (folder / name).is_file()]


def calibration_of(graph: str) -> str:
    """Name the file of what was seen, or chosen, of a graph's activations."""
    return CALIBRATION if graph == MODEL else f"{Path(graph).stem}_{CALIBRATION}"

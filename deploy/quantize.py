"""The quantize stage: an exported model in INT8, once for all targets."""

import json
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from onnx import ModelProto

from .activation_ranges import Range
from .activations import load_float_model
from .calibration_table import CalibrationTable, read_table
from .config import QuantizeConfig
from .graph import drop_unused, save_model, weight_matmuls
from .graph_files import MODEL, calibration_of, graphs_of
from .int8_edits import quantize_embedding_rows, quantize_lstms
from .placement import KeepFloat, quantizable_matmuls


class Method(Protocol):
    """Quantizes products in place and returns the ranges that it fixed."""

    def __call__(
        self,
        model: ModelProto,
        table: CalibrationTable | None,
        config: QuantizeConfig,
        *,
        symmetric: bool,
        keep_float: KeepFloat,
    ) -> dict[str, Range]:
        """Raise ModelError where there is no symmetric layout."""


METHODS = {
    "static": "pocketbert.deploy.static_int8:static_int8",
    # Of the model that the smooth stage made:
    "smoothquant": "pocketbert.deploy.static_int8:static_int8",
    "dynamic": "pocketbert.deploy.dynamic_int8:dynamic_int8",
    "weight_only": "pocketbert.deploy.weight_only:weight_only",
}


def quantize(
    *, out: Path, config: QuantizeConfig, calibrated: Path | None, exported: Path
) -> dict[str, Any]:
    """Quantize an exported model into the canonical layout, of which targets derive their own.

    Args:
        out: Gets `model.onnx` and `calibration.json` (tensor name to lowest and highest value that
            its steps cover), and of a model that writes texts the same of its decoder.
        config: Method, placement, and how ranges are chosen.
        calibrated: Folder of the calibrate stage, for methods that need one.
        exported: Folder of the export stage (of the smooth stage with `smoothquant`).

    Returns:
        `quantized_matmuls`, `float_weight_matmuls`, `quantized_activations`,
        `embedding_tables`, `quantized_lstms`, `bytes`.

    Raises:
        ModelError: The model is quantized already, or the table belongs to another graph.
    """
    said: Counter[str] = Counter()
    for graph in graphs_of(exported):
        path = exported / graph
        exported_model = load_float_model(path)
        table = read_table(calibrated / calibration_of(graph), path) if calibrated else None
        said.update(write_quantized(out, exported_model, table, config, graph=graph))
    return dict(said)


def write_quantized(
    out: Path,
    exported_model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    keep_float: KeepFloat = frozenset(),
    graph: str = MODEL,
) -> dict[str, int]:
    """Write the canonical layout of a graph into a folder; see `quantize`."""
    made = _quantized(exported_model, table, config, False, keep_float)
    save_model(made.model, out / graph)
    (out / calibration_of(graph)).write_text(json.dumps(made.ranges, indent=2) + "\n")
    quantized = len(quantizable_matmuls(exported_model, keep_float))
    return {
        "quantized_matmuls": quantized,
        "float_weight_matmuls": len(weight_matmuls(exported_model)) - quantized,
        "quantized_activations": len(made.ranges),
        "embedding_tables": made.embedding_tables,
        "quantized_lstms": made.quantized_lstms,
        "bytes": (out / graph).stat().st_size,
    }


def quantized_model(
    exported_model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    *,
    symmetric: bool = False,
    keep_float: KeepFloat = frozenset(),
) -> ModelProto:
    """Return a quantized copy of an exported model.

    Args:
        exported_model: Float model, which stays as it is.
        table: What was seen of its activations, for methods that need it.
        config: Method, placement, and how ranges are chosen.
        symmetric: The layout for TensorRT, zero points of 0; else the canonical one.
        keep_float: Names of operators that stay in float.

    Raises:
        ModelError: The method has no symmetric layout.
    """
    return _quantized(exported_model, table, config, symmetric, keep_float).model


class _Quantized(NamedTuple):
    model: ModelProto
    ranges: dict[str, Range]
    embedding_tables: int
    quantized_lstms: int


def _quantized(
    exported_model: ModelProto,
    table: CalibrationTable | None,
    config: QuantizeConfig,
    symmetric: bool,
    keep_float: KeepFloat,
) -> _Quantized:
    model = ModelProto()
    model.CopyFrom(exported_model)
    module, function = METHODS[config.method].split(":")
    method: Method = getattr(import_module(module), function)
    ranges = method(model, table, config, symmetric=symmetric, keep_float=keep_float)
    tables = quantize_embedding_rows(model) if config.embeddings else 0
    lstms = quantize_lstms(model)
    drop_unused(model)
    return _Quantized(model, ranges, tables, lstms)

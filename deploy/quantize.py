"""The quantize stage: canonical INT8, explicit Q/DQ around weight products only."""

import contextlib
import io
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from pocketbert.compress.config import MIN_CHANNELS
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.progress import Progress, progress

from .config import QuantizeConfig
from .graph import initializers, save_model, weight_matmuls
from .int8_edits import quantize_embedding_rows, quantize_lstms, release_residuals
from .tokenizer import Tokenizer

CALIBRATION_SEED = 0
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
}


def quantize(*, out: Path, config: QuantizeConfig, data: Path, exported: Path) -> dict[str, Any]:
    """Quantize an exported model once for all targets.

    Weights are INT8 per output channel and symmetric. Activations are INT8 per tensor over the
    range seen, whose zero point costs CPUs nothing: what GELU puts out has no negative side to
    speak of, and one-sided outliers are common behind LayerNorm. Softmax, LayerNorm, GELU and the
    attention products stay in float.

    Args:
        out: Gets `model.onnx` and `calibration.json` (tensor name to lowest and highest value).
        config: How activations are calibrated.
        data: Folder of the data stage; ranges come from training texts only.
        exported: Folder of the export stage.

    Returns:
        `quantized_matmuls`, `float_weight_matmuls`, `embedding_tables`, `quantized_lstms`,
        `residuals_released`, `calibration_texts`, `bytes`.
    """
    model = onnx.load_model(exported / "model.onnx")
    nodes = weight_matmuls(model, MIN_CHANNELS)
    inputs = [node.name for node in model.graph.input]
    texts = _calibration_texts(data, config.calibration_examples)
    tokenizer = Tokenizer(exported / "tokenizer.json", load_description(data).max_length)

    with progress("Calibrate", total=len(texts), unit="text") as bar:
        reader = _Texts(texts, tokenizer, inputs, bar)
        quantized = _quantize(exported / "model.onnx", reader, config, [n.name for n in nodes])
    released = release_residuals(quantized)
    tables = quantize_embedding_rows(quantized) if config.embeddings else 0
    lstms = quantize_lstms(quantized)

    save_model(quantized, out / "model.onnx")
    ranges = _ranges(quantized)
    (out / "calibration.json").write_text(json.dumps(ranges, indent=2) + "\n")
    return {
        "quantized_matmuls": len(nodes),
        "float_weight_matmuls": len(weight_matmuls(model)) - len(nodes),
        "embedding_tables": tables,
        "quantized_lstms": lstms,
        "residuals_released": released,
        "calibration_texts": len(texts),
        "bytes": (out / "model.onnx").stat().st_size,
    }


class _Texts(CalibrationDataReader):  # type: ignore[misc]
    """Feeds one text at a time: padding must not enter a range."""

    def __init__(
        self, texts: list[str], tokenizer: Tokenizer, inputs: list[str], bar: Progress
    ) -> None:
        self._texts = texts
        self._tokenizer = tokenizer
        self._inputs = inputs
        self._bar = bar
        self.set_range(0, len(texts))

    def __len__(self) -> int:
        return len(self._texts)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._part = iter(self._texts[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        text = next(self._part, None)
        if text is None:
            return None
        self._bar.advance(1)
        encoded = self._tokenizer.encode([text])
        return {name: encoded[name] for name in self._inputs}


def _calibration_texts(data: Path, count: int) -> list[str]:
    texts = load_split(data, "train").texts
    return random.Random(CALIBRATION_SEED).sample(texts, min(count, len(texts)))


def _quantize(
    path: Path, reader: CalibrationDataReader, config: QuantizeConfig, nodes: list[str]
) -> ModelProto:
    with tempfile.TemporaryDirectory() as scratch:
        with_shapes, result = Path(scratch) / "shapes.onnx", Path(scratch) / "int8.onnx"
        quant_pre_process(path, with_shapes, skip_symbolic_shape=True, skip_optimization=True)
        # onnxruntime prints its progress to stdout, which belongs to the command's result.
        with contextlib.redirect_stdout(io.StringIO()):
            quantize_static(
                with_shapes,
                result,
                reader,
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=nodes,
                calibrate_method=METHODS[config.calibration],
                extra_options={
                    "ActivationSymmetric": False,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    # Texts of different lengths do not stack; one by one, memory stays small too.
                    "CalibStridedMinMax": 1,
                    "OpTypesToExcludeOutputQuantization": ["MatMul"],
                },
            )
        return onnx.load_model(result)


def _ranges(model: ModelProto) -> dict[str, tuple[float, float]]:
    """Lowest and highest value that each quantized activation can hold."""
    stored = initializers(model)
    ranges = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (
                float(numpy_helper.to_array(stored[name])) for name in node.input[1:]
            )
            ranges[node.input[0]] = ((-128 - zero_point) * scale, (127 - zero_point) * scale)
    return ranges

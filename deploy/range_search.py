"""Ranges chosen by what they do to the logits, the one thing that counts."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from pocketbert.compress.progress import progress

from .graph import initializers
from .runners.ort import OrtRunner
from .tokenizer import Tokenizer

FACTORS = (0.7, 0.5, 0.35)
BATCH_SIZE = 16
# A smaller gain is noise of the few texts that are looked at.
WORTH_WHILE = 0.99


def narrow_ranges(
    model: ModelProto, float_path: Path, tokenizer: Tokenizer, texts: list[str]
) -> dict[str, float]:
    """Narrow activation ranges, in place, where that brings the logits nearer to the float model's.

    A few outlying values stretch a min-max range until ordinary ones share a handful of steps; a
    percentile cuts alike where outliers carry meaning and where not. So each range in turn is
    tried at smaller sizes and the best is kept: one pass of coordinate descent on the loss, as in
    Nahshan et al. 2021 (LAPQ), here on the squared difference of logits, which needs no labels.

    Args:
        model: Canonical INT8 model.
        float_path: The float model it was made from.
        tokenizer: Cuts the texts.
        texts: A few dozen training texts.

    Returns:
        `logit_rms_before` and `logit_rms`, the root mean square difference to the float logits.
    """
    texts = sorted(texts, key=len)
    batches = [
        tokenizer.encode(texts[start : start + BATCH_SIZE])
        for start in range(0, len(texts), BATCH_SIZE)
    ]
    wanted = _logits(float_path, batches)

    def error() -> float:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.onnx"
            onnx.save_model(model, path)
            return float(np.sqrt(np.square(_logits(path, batches) - wanted).mean()))

    scales = _activation_scales(model)
    before = best = error()
    with progress("Narrow ranges", total=len(scales), unit="range") as bar:
        for scale in scales:
            full = numpy_helper.to_array(scale)
            kept = full
            for factor in FACTORS:
                _set(scale, full * np.float32(factor))
                found = error()
                if found < WORTH_WHILE * best:
                    best, kept = found, full * np.float32(factor)
            _set(scale, kept)
            bar.advance(1, logit_rms=best)
    return {"logit_rms_before": before, "logit_rms": best}


def _logits(path: Path, batches: list[dict[str, NDArray[np.int64]]]) -> NDArray[np.float32]:
    # Operator by operator, so that no integer kernel of this processor colours the choice.
    runner = OrtRunner(path, optimize=False)
    return np.concatenate([runner.run(batch) for batch in batches])


def _activation_scales(model: ModelProto) -> list[TensorProto]:
    stored = initializers(model)
    names = [node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return [stored[name] for name in dict.fromkeys(names)]


def _set(scale: TensorProto, value: NDArray[np.float32]) -> None:
    scale.CopyFrom(numpy_helper.from_array(np.asarray(value, dtype=np.float32), scale.name))

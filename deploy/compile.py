"""The compile stage: the canonical model is lowered for one instruction set and put in a bundle."""

import json
import tempfile
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import BundleError

from .bundle import GOLDEN, TOKENIZER, Manifest, Precision, Target, write_bundle
from .config import CompileConfig
from .cpu import Isa, available_isas
from .graph import save_model, weight_matmuls
from .int8_edits import fuse_integer_matmuls, fuse_lstms, narrow_weights, shift_zero_points
from .runners.ort import DISABLED_OPTIMIZERS, OrtRunner
from .selftest import selftest
from .tokenizer import Tokenizer
from .weight_zeros import describe_zeros

INTEGER_MATMULS = (
    "MatMulIntegerToFloat",
    "QLinearMatMul",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "QGemm",
    "DynamicQuantizeLSTM",
)
GOLDEN_TEXTS = 8

# Share of the largest golden logit by which another processor may differ: in INT8 a value that
# falls on the other side of a rounding step moves a logit a little.
GOLDEN_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "int8": 5e-2}


def compile_bundle(
    *,
    out: Path,
    config: CompileConfig,
    data: Path,
    exported: Path,
    quantized: Path | None,
    lineage: dict[str, str],
    name: str,
) -> dict[str, Any]:
    """Lower a model, look at what the runtime makes of it, and write the bundle.

    Args:
        out: Gets `bundle/`.
        config: Target, instruction set and threads.
        data: Folder of the data stage; golden texts are validation texts.
        exported: Folder of the export stage.
        quantized: Folder of the quantize stage, or None for a float bundle.
        lineage: Fingerprint of every stage that led here.
        name: Name of the recipe.

    Returns:
        `isa`, `precision`, `int8_matmuls` and `float_weight_matmuls` of the graph that really
        runs, `edits`, `bytes` of the model, zeros among its weights, `bundle_bytes` of all files,
        and how far the golden logits are from the float model's.
    """
    isa = _isa(config, quantized is not None)
    precision: Precision = "float32" if quantized is None else "int8"
    tokenizer = Tokenizer(exported / TOKENIZER, load_description(data).max_length)
    with tempfile.TemporaryDirectory(dir=out, prefix=".compile-") as scratch_name:
        scratch = Path(scratch_name)
        edits = _lower_to(
            scratch / "model.onnx", scratch / "reference.onnx", exported, quantized, isa
        )
        runner = OrtRunner(scratch / "reference.onnx", optimize=False)
        golden = _golden(runner, tokenizer, load_split(data, "validation").texts, precision)
        (scratch / GOLDEN).write_text(json.dumps(golden) + "\n")
        measured = _difference_to_float(exported, tokenizer, golden)
        target = Target(
            name=config.target,
            runtime=config.target,
            path=f"{config.target}/model.onnx",
            isa=isa,
            precision=precision,
            threads=config.threads,
            disabled_optimizers=DISABLED_OPTIMIZERS,
            bytes=(scratch / "model.onnx").stat().st_size,
            **_count_matmuls(scratch / "model.onnx"),
        )
        files = {
            TOKENIZER: exported / TOKENIZER,
            GOLDEN: scratch / GOLDEN,
            target.path: scratch / "model.onnx",
        }
        if quantized is not None:
            files["calibration.json"] = quantized / "calibration.json"
        manifest = _manifest(name, target, data, exported, lineage, measured)
        write_bundle(out / "bundle", files, manifest)
    if isa in available_isas():
        _check_here(out / "bundle")
    return {
        "isa": isa,
        "precision": precision,
        "int8_matmuls": target.int8_matmuls,
        "float_weight_matmuls": target.float_weight_matmuls,
        "edits": edits,
        **measured,
        "bytes": target.bytes,
        **describe_zeros(out / "bundle" / target.path),
        "bundle_bytes": sum(f.stat().st_size for f in (out / "bundle").rglob("*") if f.is_file()),
    }


def _manifest(
    name: str,
    target: Target,
    data: Path,
    exported: Path,
    lineage: dict[str, str],
    measured: dict[str, float],
) -> Manifest:
    description = load_description(data)
    tokenizer = Tokenizer(exported / TOKENIZER, description.max_length)
    graph = onnx.load_model(exported / "model.onnx").graph
    return Manifest(
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        task="text-classification",
        labels=description.labels,
        max_length=description.max_length,
        inputs=tuple(node.name for node in graph.input),
        outputs=tuple(node.name for node in graph.output),
        targets=(target,),
        length_histogram=_length_histogram(tokenizer, load_split(data, "train").texts),
        lineage=lineage,
        measured=measured,
    )


def _isa(config: CompileConfig, is_int8: bool) -> Isa:
    if not is_int8:
        return "any"
    return available_isas()[0] if config.isa == "auto" else config.isa


def _lower_to(
    path: Path, reference_path: Path, exported: Path, quantized: Path | None, isa: Isa
) -> dict[str, int]:
    """Write the model that ships, and the same numbers as plain Q/DQ operators.

    Returns:
        How often each edit matched.
    """
    float_model = onnx.load_model(exported / "model.onnx")
    if quantized is None:
        save_model(float_model, reference_path)
        save_model(float_model, path)
        return {}
    model = onnx.load_model(quantized / "model.onnx")
    edits = lower(model, float_model, isa)
    save_model(model, reference_path)
    edits["fuse_integer_matmuls"] = fuse_integer_matmuls(model)
    edits["fuse_lstms"] = fuse_lstms(model)
    save_model(model, path)
    return edits


def lower(model: ModelProto, float_model: ModelProto, isa: Isa) -> dict[str, int]:
    """Bring canonical INT8 into the number formats of an instruction set, in place.

    Args:
        model: Canonical INT8 model.
        float_model: The exported model it was made from.
        isa: ARM64 keeps INT8 activations; x86-64 gets UINT8 ones, and without VNNI 7-bit weights.

    Returns:
        How often each edit matched.
    """
    edits = {}
    if isa == "x86_64":
        edits["narrow_weights"] = narrow_weights(model, float_model)
    if isa in ("x86_64", "x86_64_vnni"):
        edits["shift_zero_points"] = shift_zero_points(model)
    return edits


def _count_matmuls(path: Path) -> dict[str, int]:
    """Count matrix products with weights in the graph that ONNX Runtime really executes."""
    optimized_path = path.with_name("optimized.onnx")
    OrtRunner(path, optimized_path=optimized_path)
    optimized = onnx.load_model(optimized_path)
    operators = Counter(node.op_type for node in optimized.graph.node)
    return {
        "int8_matmuls": sum(operators[name] for name in INTEGER_MATMULS),
        "float_weight_matmuls": len(weight_matmuls(optimized)),
    }


def _golden(
    runner: OrtRunner, tokenizer: Tokenizer, texts: list[str], precision: Precision
) -> dict[str, Any]:
    """Texts with their tokens and the logits that every machine has to reproduce."""
    texts = texts[:GOLDEN_TEXTS]
    encoded = [tokenizer.encode([text]) for text in texts]
    logits = np.concatenate([runner.run(inputs) for inputs in encoded])
    return {
        "texts": texts,
        "input_ids": [inputs["input_ids"][0].tolist() for inputs in encoded],
        "logits": logits.tolist(),
        "tolerance": GOLDEN_TOLERANCE[precision] * float(np.abs(logits).max()),
    }


def _difference_to_float(
    exported: Path, tokenizer: Tokenizer, golden: dict[str, Any]
) -> dict[str, float]:
    """How far the golden logits are from those of the exported float model."""
    runner = OrtRunner(exported / "model.onnx")
    logits = np.concatenate([runner.run(tokenizer.encode([text])) for text in golden["texts"]])
    difference = np.abs(logits - np.array(golden["logits"], dtype=np.float32)).max()
    return {"golden_max_abs_difference_to_float": float(difference)}


def _check_here(bundle: Path) -> None:
    result = selftest(bundle)
    if not result.passed:
        raise BundleError(
            f"{bundle} differs on this machine by {result.max_abs_difference:.3g} from its golden "
            f"logits, expected at most {result.tolerance:.3g}; set compile.isa by hand or report "
            "this processor"
        )


def _length_histogram(tokenizer: Tokenizer, texts: list[str]) -> tuple[int, ...]:
    lengths = [int(tokenizer.encode([text])["input_ids"].shape[1]) for text in texts]
    counts: NDArray[np.int64] = np.bincount(lengths)
    return tuple(int(count) for count in counts)

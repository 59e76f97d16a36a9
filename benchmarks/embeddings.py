"""Embedding tables in INT8: bytes, memory and latency before and after, and done the naive way.

    python benchmarks/embeddings.py runs/stages/export-pruned-* runs/stages/data-*

Three INT8 engines of one model: tables in float, tables in INT8 with one scale a row that is
gathered with the row (`quantize.embeddings`), and a DequantizeLinear before the Gather, which is
where quantizers put it: the runtime then dequantizes the whole table in every call.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper
from report import environment, write_results

from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.graph import add_constant, drop_unused, initializers, save_model
from pocketbert.deploy.int8_edits import MIN_TABLE_ROWS
from pocketbert.deploy.quantize import quantize
from pocketbert.eval.artifacts import Artifact, weights_bytes
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.latency import Measurement, choose_texts, measure_latency

EXAMPLES = 64
TEXTS, ROUNDS = 50, 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exported", type=Path, help="folder of an export stage")
    parser.add_argument("data", type=Path, help="folder of the data stage")
    parser.add_argument("--work", type=Path, default=Path("runs/embeddings"))
    options = parser.parse_args()
    calibrated = fresh(options.work / "calibrated")
    calibrate(out=calibrated, examples=EXAMPLES, data=options.data, exported=options.exported)
    artifacts = [
        built(name, calibrated, options) for name in ("float", "row by row", "before the Gather")
    ]
    description = load_description(options.data)
    measured = measure_latency(
        artifacts,
        choose_texts(load_split(options.data, "test").texts, TEXTS),
        description.labels,
        description.max_length,
        EvaluateConfig(latency_texts=TEXTS, latency_rounds=ROUNDS),
        options.work / "logs",
    )
    rows = [row_of(artifact, measured) for artifact in artifacts]
    for row in rows:
        print(
            f"{row['tables']:<18} {row['weights_bytes'] / 1e6:.1f} MB on disk, "
            f"{row['resident_bytes'] / 1e6:.0f} MB resident, p50 {row['p50_ms']:.3f} ms "
            f"({row['times_as_long']:.2f}x float tables)"
        )
    of = {row["tables"]: row for row in rows}
    bars = [
        {
            "name": "latency of tables in INT8, row by row, over that of tables in float",
            "value": of["row by row"]["times_as_long"],
            "target": 1.05,
            "holds": of["row by row"]["times_as_long"] <= 1.05,
        },
        {
            "name": "bytes of the model over those with tables in float",
            "value": of["row by row"]["weights_bytes"] / of["float"]["weights_bytes"],
            "target": 0.5,
            "holds": of["row by row"]["weights_bytes"] <= 0.5 * of["float"]["weights_bytes"],
        },
    ]
    write_results("embeddings", environment=environment(), rows=rows, bars=bars)


def built(name: str, calibrated: Path, options: argparse.Namespace) -> Artifact:
    """An INT8 bundle with the tables done as the name says."""
    folder = options.work / name.replace(" ", "-")
    quantized, compiled = fresh(folder / "quantized"), fresh(folder / "compiled")
    config = QuantizeConfig(calibration_examples=EXAMPLES, embeddings=name == "row by row")
    quantize(out=quantized, config=config, calibrated=calibrated, exported=options.exported)
    if name == "before the Gather":
        model = onnx.load_model(quantized / "model.onnx")
        dequantize_whole_tables(model)
        save_model(model, quantized / "model.onnx")
    compile_bundle(
        out=compiled,
        config=CompileConfig(),
        data=options.data,
        exported=options.exported,
        quantized=quantized,
        lineage={},
        name="embeddings",
    )
    return Artifact(
        name=name.replace(" ", "-"), title=name, kind="bundle", folder=str(compiled / "bundle")
    )


def dequantize_whole_tables(model: ModelProto) -> None:
    """Put a DequantizeLinear with one scale a row before every Gather of a large float table."""
    stored = initializers(model)
    for node in list(model.graph.node):
        table = stored.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < MIN_TABLE_ROWS:
            continue
        rows = onnx.numpy_helper.to_array(table)
        scale = (np.abs(rows).max(axis=1) / 127).clip(1e-12).astype(np.float32)
        base = table.name
        add_constant(model, f"{base}_int8", np.rint(rows / scale[:, None]).astype(np.int8))
        add_constant(model, f"{base}_row_scale", scale)
        add_constant(model, f"{base}_row_zero", np.zeros(len(rows), dtype=np.int8))
        names = [f"{base}_int8", f"{base}_row_scale", f"{base}_row_zero"]
        dequantize = helper.make_node("DequantizeLinear", names, [f"{base}_float"], axis=0)
        model.graph.node.insert(0, dequantize)
        node.input[0] = f"{base}_float"
    drop_unused(model)


def row_of(artifact: Artifact, measured: dict[str, Measurement]) -> dict[str, Any]:
    one, floats = measured[artifact.name], measured["float"]
    by_round_ms = np.median(one.latencies_ms, axis=1)
    return {
        "tables": artifact.title,
        "weights_bytes": weights_bytes(artifact),
        "resident_bytes": one.resident_bytes,
        "peak_bytes": one.peak_bytes,
        "p50_ms": float(np.median(by_round_ms)),
        "times_as_long": float(np.median(by_round_ms / np.median(floats.latencies_ms, axis=1))),
        "p50_by_round_ms": by_round_ms.tolist(),
    }


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()

"""What each way to INT8 costs in answers and buys in time and size, and what the guard rescues.

    pocketbert run quickstart --until export-pruned
    python benchmarks/int8.py runs/stages/export-pruned-* runs/stages/data-* --work runs/int8

Every method quantizes the same exported student, for this machine. The second table has the same
function again, with two channels of every LayerNorm that products read 300 times as large as they
were: what outliers do to INT8. There the guard, too, may return layers to float. Scored on the test
texts; engines are timed in turns, and a ratio is the median over the rounds.
"""

import argparse
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from report import environment, write_results

from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.quantize import quantize
from pocketbert.deploy.smoothquant import smooth, smooth_layer_norms, smoothable
from pocketbert.eval.accuracy import predict
from pocketbert.eval.artifacts import Artifact, open_artifact
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.int8_guard import guard_int8
from pocketbert.eval.int8_trial import Trial
from pocketbert.eval.intervals import proportion
from pocketbert.eval.latency import choose_texts, measure_latency

STATIC = QuantizeConfig()
METHODS = {
    "static, minmax": STATIC,
    "static, percentile": replace(STATIC, calibration="percentile"),
    "static, entropy": replace(STATIC, calibration="entropy"),
    "static, mse": replace(STATIC, calibration="mse"),
    "static, attention": replace(STATIC, attention=True),
    "static, residuals": replace(STATIC, residuals=True),
    "smoothquant": replace(STATIC, method="smoothquant"),
    "dynamic": replace(STATIC, method="dynamic"),
    "weight_only, 8 bits": replace(STATIC, method="weight_only"),
    "weight_only, 4 bits": replace(STATIC, method="weight_only", weight_bits=4),
}
HOSTILE = ("static, minmax", "static, percentile", "static, mse", "smoothquant", "dynamic")
GUARD = GuardConfig(max_drop=0.003, min_agreement=0.98)
OUTLIERS, OUTLIER_SCALE = 2, 300.0
TIMED = EvaluateConfig(latency_texts=50, latency_rounds=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exported", type=Path, help="folder of a finished export stage")
    parser.add_argument("data", type=Path, help="folder of the data stage it belongs to")
    parser.add_argument("--work", type=Path, default=Path("runs/int8"))
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    plain = options.work / "plain"
    engines = {name: engine(config, options.exported, options.data, plain / name)
               for name, config in METHODS.items()}  # fmt: skip
    tables = {"student": rows(options.exported, engines, options.data, plain)}
    hostile = options.work / "hostile"
    exported = with_outliers(options.exported, hostile / "exported")
    engines = {name: engine(METHODS[name], exported, options.data, hostile / name)
               for name in HOSTILE}  # fmt: skip
    guard, engines["static, minmax, guard"] = guarded(exported, options.data, hostile)
    tables["student with outliers"] = rows(exported, engines, options.data, hostile)
    write(tables, guard)


def engine(config: QuantizeConfig, exported: Path, data: Path, root: Path) -> Path:
    """Go through the stages of a method; return the folder of the engine."""
    exported, calibrated = calibrated_for(config, exported, data, root)
    return Trial(root, config, data, exported, calibrated).build(frozenset(), "engine")


def calibrated_for(
    config: QuantizeConfig, exported: Path, data: Path, root: Path
) -> tuple[Path, Path | None]:
    root.mkdir(parents=True)
    examples = config.calibration_examples
    if config.method == "smoothquant":
        smoothed = root / "smooth"
        smoothed.mkdir()
        smooth(out=smoothed, alpha=config.alpha, examples=examples, data=data, exported=exported)
        exported = smoothed
    if not config.calibrated:
        return exported, None
    calibrate(out=root, examples=examples, data=data, exported=exported)
    return exported, root


def with_outliers(exported: Path, out: Path) -> Path:
    """Write an equal graph in which a few channels are much larger than all others."""
    out.mkdir(parents=True)
    model = onnx.load(exported / "model.onnx")
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    draw = np.random.default_rng(0)
    channels = {}
    for norm in smoothable(model):
        factors = np.ones(stored[norm.input[1]].dims[0], dtype=np.float32)
        factors[draw.choice(factors.size, OUTLIERS, replace=False)] = 1 / OUTLIER_SCALE
        channels[norm.output[0]] = factors
    smooth_layer_norms(model, channels, alpha=1.0)
    onnx.save(model, out / "model.onnx")
    shutil.copyfile(exported / "tokenizer.json", out / "tokenizer.json")
    return out


def guarded(exported: Path, data: Path, root: Path) -> tuple[dict[str, Any], Path]:
    """Let the guard decide; return what it found and the folder of the engine."""
    config = replace(STATIC, guard=GUARD)
    folder = root / "guard"
    _, calibrated = calibrated_for(config, exported, data, folder)
    for name in ("quantized", "guarded"):
        (folder / name).mkdir()
    given: dict[str, Any] = {"calibrated": calibrated, "exported": exported}
    quantize(out=folder / "quantized", config=STATIC, **given)
    found = guard_int8(
        out=folder / "guarded", config=config, data=data, quantized=folder / "quantized", **given
    )
    in_float = {name for step in found["steps"] for name in step["operators"]}
    built = Trial(folder, STATIC, data, exported, calibrated).build(in_float, "engine")
    return found, built


def rows(exported: Path, engines: dict[str, Path], data: Path, root: Path) -> list[dict[str, Any]]:
    """Score and time engines beside the float model."""
    folders = {"float": exported} | engines
    description, test = load_description(data), load_split(data, "test")
    artifacts = [
        Artifact(name=name, title=name, kind="onnx", folder=str(folder))
        for name, folder in folders.items()
    ]
    texts = choose_texts(test.texts, TIMED.latency_texts)
    labels, longest = description.labels, description.max_length
    measured = measure_latency(artifacts, texts, labels, longest, TIMED, root / "logs")
    p50_ms = {name: np.median(one.latencies_ms, axis=1) for name, one in measured.items()}
    answers = {
        one.name: predict(
            open_artifact(one, labels, longest, threads=1), test.texts, test.labels, one.name
        ).argmax(axis=1)
        for one in artifacts
    }
    found = []
    for name, folder in folders.items():
        right = answers[name] == test.labels
        ratio = p50_ms["float"] / p50_ms[name]
        found.append(
            {
                "name": name,
                "accuracy": asdict(proportion(right, 0.95)),
                "agreement": float((answers[name] == answers["float"]).mean()),
                "bytes": (folder / "model.onnx").stat().st_size,
                "p50_ms": float(np.median(p50_ms[name])),
                "times_as_fast": float(np.median(ratio)),
                "times_as_fast_by_round": ratio.tolist(),
            }
        )
        print(line(found[-1]), flush=True)
    return found


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['name']:<24}{row['accuracy']['value']:8.1%}{row['agreement']:8.1%}"
        f"{row['bytes'] / 1e6:8.1f} MB{row['p50_ms']:8.2f} ms{row['times_as_fast']:6.2f}x"
    )


def write(tables: dict[str, list[dict[str, Any]]], guard: dict[str, Any]) -> None:
    print(json.dumps(guard, indent=1))
    spoiled = next(r for r in tables["student with outliers"] if r["name"] == "static, minmax")
    rescued = tables["student with outliers"][-1]
    write_results(
        "int8",
        environment=environment(),
        tables=tables,
        guard=guard,
        bars=[
            {
                "name": "agreement of INT8 as it is on the student with outliers (to be spoiled)",
                "value": spoiled["agreement"],
                "target": 0.95,
                "holds": spoiled["agreement"] < 0.95,
            },
            {
                "name": "agreement with the guard",
                "value": rescued["agreement"],
                "target": 0.97,
                "holds": rescued["agreement"] >= 0.97,
            },
            {
                "name": "layers that the guard left in INT8",
                "value": guard["layers"] - guard["returned"],
                "target": 1,
                "holds": guard["holds"] and guard["layers"] > guard["returned"],
            },
        ],
    )


if __name__ == "__main__":
    main()

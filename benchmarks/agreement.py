"""How often an INT8 engine of the teacher says what the teacher says, with and without the guard.

    pocketbert run quickstart
    python benchmarks/agreement.py --data runs/stages/data-* --exported runs/stages/export-teacher-*

Every row of METHODS quantizes the exported teacher as this machine runs it; the guard returns
layers to float until ASKED of the validation texts get the float model's label. Then the engine
answers the test texts, which decided nothing. Latency is a ratio of medians that took turns.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from report import environment, write_results

from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.quantize import quantize
from pocketbert.deploy.smoothquant import smooth
from pocketbert.eval.int8_guard import guard_int8
from pocketbert.eval.int8_trial import Trial
from pocketbert.eval.intervals import proportion

ASKED = 0.99
GUARD = GuardConfig(max_drop=0.5, min_agreement=ASKED)
METHODS = {
    "minmax": QuantizeConfig(guard=GUARD),
    "mse": QuantizeConfig(calibration="mse", guard=GUARD),
    "SmoothQuant 0.3": QuantizeConfig(method="smoothquant", alpha=0.3, guard=GUARD),
    "SmoothQuant 0.5": QuantizeConfig(method="smoothquant", guard=GUARD),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the data stage")
    options.add_argument("--exported", type=Path, required=True, help="of the float model's export")
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    chosen = options.parse_args()
    rows = []
    for name in chosen.methods:
        with tempfile.TemporaryDirectory() as scratch:
            row = {"name": name} | measured(
                METHODS[name], chosen.data, chosen.exported, Path(scratch)
            )
        print(told(row), flush=True)
        rows.append(row)
    best = max(rows, key=lambda row: row["validation_agreement"])  # the test decides nothing
    reached = best["test_agreement"]["value"]
    write_results(
        "agreement",
        environment=environment(),
        rows=rows,
        bars=[
            {
                "name": f"labels of the float model kept on the test split ({best['name']}, "
                f"{best['returned']} of {best['layers']} layers in float)",
                "value": reached,
                "target": ASKED,
                "holds": reached >= ASKED,
            }
        ],
    )


def measured(config: QuantizeConfig, data: Path, exported: Path, scratch: Path) -> dict[str, Any]:
    """Quantize and guard as a recipe does, then ask the engine the test split."""
    folders = {name: scratch / name for name in ("smooth", "calibrate", "quantize", "guard")}
    for folder in folders.values():
        folder.mkdir()
    examples = config.calibration_examples
    if config.method == "smoothquant":
        smooth(
            out=folders["smooth"],
            alpha=config.alpha,
            examples=examples,
            data=data,
            exported=exported,
        )
        exported = folders["smooth"]
    calibrated = folders["calibrate"]
    calibrate(out=calibrated, table=None, examples=examples, data=data, exported=exported)
    quantize(out=folders["quantize"], config=config, calibrated=calibrated, exported=exported)
    found = guard_int8(
        out=folders["guard"],
        config=config,
        data=data,
        exported=exported,
        calibrated=calibrated,
        quantized=folders["quantize"],
    )
    in_float = {name for step in found["steps"] for name in step["operators"]}
    trial = Trial(scratch, config, data, exported, calibrated)
    return {
        "validation_agreement_before": found["steps"][0]["agreement"],
        "validation_agreement": found["steps"][-1]["agreement"],
        "layers": found["layers"],
        "returned": found["returned"],
        "steps": found["steps"],
        "test_agreement_before": on_test(trial, frozenset()),
        "test_agreement": on_test(trial, in_float),
        "p50_ratio_to_float": trial.p50_ratios(in_float)[1],
    }


def on_test(trial: Trial, in_float: frozenset[str] | set[str]) -> dict[str, float]:
    """Share of the test texts that get the float model's label, with an interval."""
    about, texts = load_description(trial.data), load_split(trial.data, "test").texts
    labels = [
        Engine.from_onnx(folder, about.labels, about.max_length).logits(texts).argmax(axis=1)
        for folder in (trial.exported, trial.build(in_float, "asked"))
    ]
    same = proportion(np.equal(*labels), confidence=0.95)
    return {"value": same.value, "low": same.low, "high": same.high}


def told(row: dict[str, Any]) -> str:
    before, after = row["test_agreement_before"], row["test_agreement"]
    return (
        f"{row['name']:<20} all INT8 {before['value']:.4f}; {row['returned']} of {row['layers']} "
        f"layers in float {after['value']:.4f} ({after['low']:.4f} to {after['high']:.4f}), "
        f"{row['p50_ratio_to_float']:.2f} of the float graph's latency"
    )


if __name__ == "__main__":
    main()

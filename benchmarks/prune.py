"""Accuracy against measured latency of training-free pruning.

    pocketbert run quickstart --until teacher
    python benchmarks/prune.py runs/stages/teacher-* runs/stages/data-* --work runs/prune

For every speedup, number of steps, with and without least-squares reconstruction: prune the
teacher by a latency table measured here, export it, score the exported engine on the test split,
and time it beside the unpruned one. `--recover EPOCHS` prunes once more with distillation after it.
`--textpruner PYTHON` adds what TextPruner keeps of the same model for the same speedup, with the
same texts (see textpruner_masks.py for that environment).
A row that is in the work folder already is not pruned again; timings are always taken anew.
"""

import argparse
import itertools
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from report import RESULTS, environment, write_results

from pocketbert.compress.config import (
    ObjectivesConfig,
    OutputsWanted,
    PruneConfig,
    SoftTargetsConfig,
    TrainingConfig,
)
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.folder import ModelDescription, load_model, load_tokenizer, save_model
from pocketbert.compress.latency_table import LatencyTable, load_latency_table
from pocketbert.compress.prune import prune
from pocketbert.compress.surgery import (
    BertClassifier,
    bert_layers,
    keep_heads,
    keep_neurons,
    widths_of,
)
from pocketbert.compress.teacher_outputs import compute_teacher_outputs
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.latency_table import measure_latency_table
from pocketbert.eval.accuracy import predict
from pocketbert.eval.artifacts import Artifact, open_artifact
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.intervals import proportion, retention
from pocketbert.eval.latency import choose_texts, measure_latency

SPEEDUPS = (2.0, 3.0, 1.5, 1.25)
STEPS = (1, 4, 16)
RECONSTRUCTIONS = ("none", "least_squares")
TEXTPRUNER = "textpruner"
STYLES = {
    "none": (":", "no reconstruction"),
    "least_squares": ("-", "least squares"),
    TEXTPRUNER: ("--", "TextPruner"),
}
MIN_RETENTION = {"training-free": 0.95, "recovered": 0.985}
EXAMPLES = 256
NEURON_MULTIPLE = 64
LATENCY_TEXTS, LATENCY_ROUNDS = 50, 9


def main() -> None:
    options = parse()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table = latency_table(options)
    variants = [
        {"speedup": speedup, "steps": steps, "reconstruction": reconstruction, "recovered": False}
        for speedup, steps, reconstruction in itertools.product(
            options.speedups, options.steps, RECONSTRUCTIONS
        )
    ]
    if options.recover:
        variants += [
            {"speedup": s, "steps": 16, "reconstruction": "least_squares", "recovered": True}
            for s in options.speedups
        ]
    if options.textpruner:
        variants += [
            {"speedup": s, "steps": steps, "reconstruction": TEXTPRUNER, "recovered": False}
            for s, steps in itertools.product(options.speedups, options.steps)
        ]
    unpruned = exported("unpruned", options.teacher, options)
    bare = exported("bare", bare_model(options), options)
    whole = correct("unpruned", unpruned, options)
    rows: list[dict[str, Any]] = []
    for speedup in options.speedups:
        group = [variant for variant in variants if variant["speedup"] == speedup]
        engines = {name_of(v): exported(name_of(v), pruned(v, options), options) for v in group}
        p50_ms = timed({"unpruned": unpruned, "bare": bare} | engines, options)
        for variant in group:
            rows.append(row_of(variant, whole, p50_ms, table, options))
            print(line(rows[-1]), flush=True)
        write(rows, whole, table)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", type=Path, help="folder of a finished teacher stage")
    parser.add_argument("data", type=Path, help="folder of the data stage it learned from")
    parser.add_argument("--work", type=Path, default=Path("runs/prune"))
    parser.add_argument("--recover", type=float, default=0.0, metavar="EPOCHS")
    parser.add_argument("--textpruner", type=Path, metavar="PYTHON", help="of its environment")
    parser.add_argument("--speedups", type=float, nargs="+", default=SPEEDUPS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    return parser.parse_args()


def latency_table(options: argparse.Namespace) -> LatencyTable:
    folder = options.work / "latency-table"
    if not (folder / "latency_table.json").is_file():
        folder.mkdir(exist_ok=True)
        measure_latency_table(
            out=folder,
            data=options.data,
            student=options.teacher,
            config=CompileConfig(),
            int8=False,
            neuron_multiple=NEURON_MULTIPLE,
        )
    config = load_model(options.teacher / "model").config
    head_size = config.hidden_size // config.num_attention_heads
    return load_latency_table(folder / "latency_table.json", config.hidden_size, head_size)


def name_of(variant: dict[str, Any]) -> str:
    ending = "-recovered" if variant["recovered"] else ""
    return "{speedup:g}x-{steps}-{reconstruction}".format(**variant) + ending


def pruned(variant: dict[str, Any], options: argparse.Namespace) -> Path:
    """Return the stage folder of a variant, pruned now or by an earlier try."""
    folder: Path = options.work / name_of(variant)
    if (folder / "done.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if variant["reconstruction"] == TEXTPRUNER:
        summary = pruned_by_textpruner(variant, folder, options)
    else:
        summary = pruned_by_us(variant, folder, options)
    (folder / "done.json").write_text(json.dumps(summary, indent=2))
    return folder


def pruned_by_us(
    variant: dict[str, Any], folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    recover = variant["recovered"]
    soft_targets = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=1.0))
    training = TrainingConfig(epochs=options.recover, learning_rate=5e-5) if recover else None
    return prune(
        config=PruneConfig(
            speedup=variant["speedup"],
            neuron_multiple=NEURON_MULTIPLE,
            steps=variant["steps"],
            reconstruction=variant["reconstruction"],
            importance_examples=EXAMPLES,
            objectives=soft_targets if recover else None,
            training=training,
        ),
        seed=0,
        data=options.data,
        examples=options.data,
        student=options.teacher,
        teacher_outputs=teacher_outputs(options) if recover else None,
        latency_table=options.work / "latency-table",
        out=folder,
    )


def pruned_by_textpruner(
    variant: dict[str, Any], folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Take away what TextPruner does not keep; it changes no weight of what stays."""
    model = load_model(options.teacher / "model")
    layers = bert_layers(model)
    heads, neurons = even_widths(variant["speedup"], widths_of(model), latency_table(options))
    asked = {
        "model": str((options.teacher / "model").resolve()),
        "texts": str((options.data / "train.jsonl").resolve()),
        "examples": EXAMPLES,
        "heads": heads,
        "neurons": neurons,
        "neuron_multiple": NEURON_MULTIPLE,
        "steps": variant["steps"],
        "scratch": str((folder / "scratch").resolve()),
        "masks": str((folder / "masks.json").resolve()),
    }
    program = Path(__file__).with_name("textpruner_masks.py")
    subprocess.run(
        [options.textpruner.absolute(), program], input=json.dumps(asked), text=True, check=True
    )
    masks = json.loads((folder / "masks.json").read_text())
    for layer, kept_heads, kept_neurons in zip(
        layers, masks["heads"], masks["neurons"], strict=True
    ):
        keep_heads(layer, torch.tensor(kept_heads).nonzero().flatten())
        keep_neurons(layer, torch.tensor(kept_neurons).nonzero().flatten())
    save_pruned(model, folder, options)
    return {"asked": asked, "widths": widths_of(model)}


def even_widths(
    speedup: float, widths: list[dict[str, int]], table: LatencyTable
) -> tuple[int, int]:
    """The most heads and neurons a layer that, the same in all, the table says are fast enough."""
    whole = widths[0]
    blocks = whole["neurons"] // NEURON_MULTIPLE
    for kept in range(blocks, 0, -1):
        heads = round(whole["heads"] * kept / blocks)
        even = {"heads": heads, "neurons": kept * NEURON_MULTIPLE}
        if table.encoder_ms([even] * len(widths)) * speedup <= table.encoder_ms(widths):
            return heads, kept * NEURON_MULTIPLE
    raise SystemExit(f"no even widths are {speedup:g} times as fast")


def teacher_outputs(options: argparse.Namespace) -> Path:
    folder: Path = options.work / "teacher-outputs"
    if not folder.is_dir():
        folder.mkdir()
        compute_teacher_outputs(
            data=options.data,
            examples=options.data,
            teacher=options.teacher,
            wanted=OutputsWanted(),
            out=folder,
        )
    return folder


def bare_model(options: argparse.Namespace) -> Path:
    """The teacher without any heads and neurons: what an engine takes beside its sub-layers."""
    folder: Path = options.work / "bare"
    model = load_model(options.teacher / "model")
    for layer in bert_layers(model):
        keep_heads(layer, torch.arange(0))
        keep_neurons(layer, torch.arange(0))
    save_pruned(model, folder, options)
    return folder


def save_pruned(model: BertClassifier, folder: Path, options: argparse.Namespace) -> None:
    found = load_description(options.data)
    description = ModelDescription(found.labels, found.max_length, widths_of(model))
    save_model(model, load_tokenizer(options.teacher / "model"), description, folder / "model")


def exported(name: str, model: Path, options: argparse.Namespace) -> Artifact:
    folder = options.work / f"{name}-onnx"
    if not (folder / "model.onnx").is_file():
        folder.mkdir(exist_ok=True)
        export_onnx(out=folder, data=options.data, model=model)
    return Artifact(name=name, title=name, kind="onnx", folder=str(folder))


def correct(name: str, artifact: Artifact, options: argparse.Namespace) -> np.ndarray:
    """Whether the engine is right on each test example. Shape: (examples,)."""
    kept = options.work / f"{name}-correct.npy"
    if not kept.is_file():
        description, test = load_description(options.data), load_split(options.data, "test")
        engine = open_artifact(artifact, description.labels, description.max_length, threads=1)
        np.save(kept, predict(engine, test.texts, test.labels, name).argmax(1) == test.labels)
    return np.load(kept)


def timed(artifacts: dict[str, Artifact], options: argparse.Namespace) -> dict[str, float]:
    """Median latency in ms, all engines taking turns."""
    description = load_description(options.data)
    measured = measure_latency(
        list(artifacts.values()),
        choose_texts(load_split(options.data, "test").texts, LATENCY_TEXTS),
        description.labels,
        description.max_length,
        EvaluateConfig(latency_texts=LATENCY_TEXTS, latency_rounds=LATENCY_ROUNDS),
        options.work / "logs",
    )
    # Per text the fastest round, so that what runs beside falls out; then the median text.
    return {name: float(np.median(m.latencies_ms.min(0))) for name, m in measured.items()}


def row_of(
    variant: dict[str, Any],
    whole: np.ndarray,
    p50_ms: dict[str, float],
    table: LatencyTable,
    options: argparse.Namespace,
) -> dict[str, Any]:
    name = name_of(variant)
    artifact = Artifact(
        name=name, title=name, kind="onnx", folder=str(options.work / f"{name}-onnx")
    )
    right = correct(name, artifact, options)
    summary = json.loads((options.work / name / "done.json").read_text())
    layers = len(summary["widths"])
    bare_encoder_ms = table.encoder_ms([{"heads": 0, "neurons": 0}] * layers)
    beside_ms = p50_ms["bare"] - bare_encoder_ms
    return variant | {
        "accuracy": asdict(proportion(right, 0.95)),
        "retention": asdict(retention(right, whole, 0.95, 2000)),
        "p50_ms": p50_ms[name],
        "unpruned_p50_ms": p50_ms["unpruned"],
        "engine_speedup": p50_ms["unpruned"] / p50_ms[name],
        "encoder_speedup": (p50_ms["unpruned"] - beside_ms) / (p50_ms[name] - beside_ms),
        "widths": summary["widths"],
    }


def line(row: dict[str, Any]) -> str:
    kept, right = row["retention"], row["accuracy"]
    return (
        f"{name_of(row):<28} accuracy {right['value']:.4f}  retention {kept['value']:.4f} "
        f"({kept['low']:.4f} to {kept['high']:.4f})  p50 {row['p50_ms']:.2f} ms  "
        f"encoder {row['encoder_speedup']:.2f}x, engine {row['engine_speedup']:.2f}x"
    )


def write(rows: list[dict[str, Any]], whole: np.ndarray, table: LatencyTable) -> None:
    bars = []
    for kind, least in MIN_RETENTION.items():
        at_two = [
            row["retention"]["value"]
            for row in rows
            if row["recovered"] == (kind == "recovered")
            and row["encoder_speedup"] >= 2.0
            and row["reconstruction"] != TEXTPRUNER
        ]
        if at_two:
            bars.append(
                {
                    "name": f"retention at 2x measured encoder latency, {kind}",
                    "value": max(at_two),
                    "target": f">= {least}",
                    "holds": max(at_two) >= least,
                }
            )
    write_results(
        "prune",
        environment=environment(),
        unpruned_accuracy=asdict(proportion(whole, 0.95)),
        latency_table=asdict(table),
        rows=rows,
        bars=bars,
    )
    draw(rows, float(whole.mean()), RESULTS / "prune.svg")


def draw(rows: list[dict[str, Any]], unpruned_accuracy: float, path: Path) -> None:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for recovered, reconstruction, steps in sorted(
        {(row["recovered"], row["reconstruction"], row["steps"]) for row in rows}
    ):
        points = sorted(
            (row["p50_ms"], 100 * row["accuracy"]["value"])
            for row in rows
            if (row["recovered"], row["reconstruction"], row["steps"])
            == (recovered, reconstruction, steps)
        )
        axes.plot(
            *zip(*points, strict=True),
            marker="s" if recovered else "o",
            linestyle=STYLES[reconstruction][0],
            color={1: "#b3261e", 4: "#d98a00", 16: "#2f5d8a"}[steps],
            label=f"{steps} step{'s' if steps > 1 else ''}, "
            + STYLES[reconstruction][1]
            + (", recovered" if recovered else ""),
        )
    axes.axhline(100 * unpruned_accuracy, color="#5b6470", linewidth=1, label="unpruned")
    axes.set_xlabel("latency of the FP32 engine at batch 1, ms")
    axes.set_ylabel("test accuracy, %")
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()

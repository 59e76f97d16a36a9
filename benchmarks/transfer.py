"""What texts, patience and initial weights buy a student of the full-size teacher.

    python benchmarks/transfer.py --work runs

Runs sentiment_base as far as the teacher's answers, then trains one student, MiniLM cut to LAYERS
layers, on parts of those texts for the same number of steps, for three times as many, and from
random weights. The FP32 engine of each is scored on the test split; differences to the student that
has the labelled texts alone are paired, with a bootstrap over the test examples. A student that is
in the work folder already is not trained again.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distill import correct, draw
from report import RESULTS, environment, write_results
from transformers import AutoConfig, AutoModel, AutoTokenizer

from pocketbert.compress.config import DistillConfig, LabelsConfig, ObjectivesConfig
from pocketbert.compress.distill import distill
from pocketbert.compress.fetch import fetch_model
from pocketbert.deploy.export import export_onnx
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.intervals import paired_difference, proportion
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.run import run

LAYERS = 2
STEPS = 1000
STATES = ("hidden_11", "query_11", "key_11", "value_11")
ALL = ("labelled", "unlabelled", "augmented")
BASELINE = "labelled texts"


@dataclass(frozen=True)
class Variant:
    """What a student learns from, for how long, and where it starts."""

    texts: tuple[str, ...] = ALL
    steps: int = STEPS
    init: str = "MiniLM"
    from_teacher: bool = True


VARIANTS = {
    "labels alone": Variant(texts=("labelled",), from_teacher=False),
    BASELINE: Variant(texts=("labelled",)),
    "+ unlabelled texts": Variant(texts=("labelled", "unlabelled")),
    "+ augmented texts": Variant(texts=("labelled", "augmented")),
    "all texts": Variant(),
    "all texts, 3 times as long": Variant(steps=3 * STEPS),
    "all texts, random weights": Variant(init="random"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    options = parser.parse_args()
    folders = {
        stage.name: stage.folder
        for stage in run(load_recipe("sentiment_base", ()), options.work, "teacher-outputs").stages
    }
    right = {}
    for name in options.variants:
        right[name] = trained(name, folders, options.work / "transfer-benchmark")
        print(f"{name:<28} {right[name].mean():.4f}", flush=True)
    rows = [row_of(name, right) for name in options.variants]
    for row in rows:
        over = row["over_baseline"]
        print(
            f"{row['name']:<28} accuracy {row['accuracy']['value']:.4f}  over {BASELINE} "
            f"{over['value']:+.4f} ({over['low']:+.4f} to {over['high']:+.4f})"
        )
    best = max(rows, key=lambda row: row["over_baseline"]["low"])
    write_results(
        "transfer",
        environment=environment(),
        layers=LAYERS,
        steps=STEPS,
        rows=rows,
        bars=[
            {
                "name": f"best ({best['name']}) over {BASELINE}, lower end of the interval",
                "value": best["over_baseline"]["low"],
                "target": "> 0",
                "holds": best["over_baseline"]["low"] > 0,
            }
        ],
    )
    draw(rows, RESULTS / "transfer.svg", BASELINE)


def trained(name: str, folders: dict[str, Path], work: Path) -> np.ndarray:
    """Train a student and say on which test examples it is right, unless that was done before."""
    variant = VARIANTS[name]
    folder = work / name.replace(" ", "-").replace(",", "").replace("+", "with")
    kept = folder / "correct.npy"
    if kept.is_file():
        return np.load(kept)
    for part in ("student", "onnx"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    examples, outputs = part_of_texts(variant.texts, folders, work)
    count = len((examples / "train.jsonl").read_text().splitlines())
    distill(
        config=config_of(variant, count, work),
        seed=0,
        data=folders["data"],
        examples=examples,
        teacher=folders["teacher"],
        teacher_outputs=outputs,
        out=folder / "student",
    )
    export_onnx(out=folder / "onnx", data=folders["data"], model=folder / "student")
    artifact = Artifact(name=name, title=name, kind="onnx", folder=str(folder / "onnx"))
    np.save(kept, correct(artifact, folders["data"]))
    return np.load(kept)


def config_of(variant: Variant, examples: int, work: Path) -> DistillConfig:
    """The recipe's distillation with a smaller student, for a number of steps."""
    recipe = load_recipe("sentiment_base", ())
    config = recipe.distill
    assert config is not None
    student = replace(config.student, layers=LAYERS)
    if variant.init == "random":
        student = replace(student, init=str(random_checkpoint(fetch_model(student.init), work)))
    epochs = variant.steps / -(-examples // config.training.batch_size)
    training = replace(
        config.training, epochs=epochs, learning_rate=2e-4, evaluations_per_epoch=1, patience=50
    )
    labels = ObjectivesConfig(labels=LabelsConfig(weight=1.0))
    objectives = config.objectives if variant.from_teacher else labels
    return replace(config, student=student, training=training, objectives=objectives)


def random_checkpoint(checkpoint: Path, work: Path) -> Path:
    """A checkpoint of the same shape that has learned nothing."""
    folder = (work / "random-weights").resolve()
    if not folder.is_dir():
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.from_pretrained(checkpoint)).save_pretrained(folder)
        AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


def part_of_texts(
    kinds: tuple[str, ...], folders: dict[str, Path], work: Path
) -> tuple[Path, Path]:
    """Cut texts and the teacher's answers to these kinds, which lie in the order of ALL."""
    if kinds == ALL:
        return folders["transfer"], folders["teacher-outputs"]
    folder = work / "-".join(kinds)
    examples, outputs = folder / "texts", folder / "outputs"
    if (folder / "done").is_file():
        return examples, outputs
    for made in (examples, outputs / "train"):
        made.mkdir(parents=True, exist_ok=True)
    counts = json.loads((folders["transfer"] / "stage.json").read_text())["summary"]
    ends = np.cumsum([counts[kind] for kind in ALL])
    ranges = dict(zip(ALL, zip([0, *ends[:-1]], ends, strict=True), strict=True))
    rows = np.concatenate([np.arange(*ranges[kind]) for kind in kinds])
    lines = (folders["transfer"] / "train.jsonl").read_text().splitlines(keepends=True)
    (examples / "train.jsonl").write_text("".join(lines[row] for row in rows))
    said = folders["teacher-outputs"]
    offsets = np.load(said / "train/offsets.npy")
    np.save(outputs / "train/logits.npy", np.load(said / "train/logits.npy")[rows])
    np.save(outputs / "train/offsets.npy", np.cumsum([0, *np.diff(offsets)[rows]]))
    for name in STATES:
        whole = np.load(said / f"train/{name}.npy", mmap_mode="r")
        parts = [whole[offsets[s] : offsets[e]] for s, e in (ranges[kind] for kind in kinds)]
        np.save(outputs / f"train/{name}.npy", np.concatenate(parts))
    (outputs / "validation").symlink_to((said / "validation").resolve())
    for name in ("teacher.json", "position_bias.npy"):
        (outputs / name).write_bytes((said / name).read_bytes())
    (folder / "done").touch()
    return examples, outputs


def row_of(name: str, right: dict[str, np.ndarray]) -> dict[str, Any]:
    return asdict(VARIANTS[name]) | {
        "name": name,
        "accuracy": asdict(proportion(right[name], 0.95)),
        "over_baseline": asdict(paired_difference(right[name], right[BASELINE], 0.95, 2000)),
    }


if __name__ == "__main__":
    main()

"""What each part of distillation buys: one teacher, one student, one part changed at a time.

    python benchmarks/distill.py --work runs --seeds 0 1 2

Runs the quickstart as far as its teacher, then trains the same small student in every way of
VARIANTS, and of LONG, which learn ten times as long and may have fewer seeds. The FP32 engine of
each is scored on the test split. Differences to learning from labels alone are those of the mean
over the same seeds, with a bootstrap over the test examples. A student that is in the work folder
already is not trained again.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from report import RESULTS, environment, write_results

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.distill import distill
from pocketbert.deploy.export import export_onnx
from pocketbert.eval.accuracy import predict
from pocketbert.eval.artifacts import Artifact, open_artifact
from pocketbert.eval.intervals import Interval, paired_difference
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.run import run

# Small enough to be trained dozens of times; as many heads as the teacher, for attention maps.
STUDENT = "distill.student={init: teacher, layers: 2, intermediate_size: 384}"
TRAINING = (
    "distill.training={learning_rate: 2e-4, batch_size: 32, dropout: 0.0,"
    " evaluations_per_epoch: 1, patience: 30}"
)
SOFT = "soft_targets: {weight: 1.0, temperature: 2.0}, labels: {weight: 0.2}"
AUGMENT = "transfer={augment: {mixed: {variants: 1}, words: {variants: 1, fraction: 0.25}}}"
# Plain texts of the same archive, the reviews' own among them; held-out ones are left out.
PLAIN = ", ".join(
    f"{{source: pypi:vader-{name}, text: 2, format: tsv}}"
    for name in ("movie-reviews", "amazon-reviews", "tweets", "nyt-editorials")
)
GENERAL = (
    f"general={{texts: [{PLAIN}], "
    "student: {init: teacher, layers: 2, intermediate_size: 384}, "
    "objectives: {hidden: {weight: 1.0, positions: tokens}, relations: {weight: 0.5}}, "
    "training: {epochs: 5, learning_rate: 5e-4, batch_size: 32, dropout: 0.0}}",
    "distill.student=null",
    "distill.student={init: general, layers: 2}",
)
BASELINE = "labels"
PLAINEST = "soft targets"  # what each further part comes on top of
FROM_GENERAL = "+ general checkpoint"


def variant(objectives: str, epochs: int, *more: str) -> tuple[str, ...]:
    return (
        STUDENT,
        TRAINING,
        f"distill.training.epochs={epochs}",
        "distill.objectives=null",  # none of the quickstart's stay
        f"distill.objectives={{{objectives}}}",
        "prune=null",
        *more,
    )


VARIANTS = {
    BASELINE: variant("labels: {weight: 1.0}", 3),
    PLAINEST: variant(SOFT, 3),
    "+ hidden": variant(f"{SOFT}, hidden: {{weight: 0.5}}", 3),
    "+ attention": variant(f"{SOFT}, attention: {{weight: 0.5, on: probabilities}}", 3),
    "+ relations": variant(f"{SOFT}, relations: {{weight: 0.5}}", 3),
    "+ augmentation": variant(SOFT, 3, AUGMENT),
    FROM_GENERAL: variant(SOFT, 3, *GENERAL),
}
LONG = {
    "labels, 30 epochs": variant("labels: {weight: 1.0}", 30),
    "soft targets, 30 epochs": variant(SOFT, 30),
    "+ attention, 30 epochs": variant(f"{SOFT}, attention: {{weight: 0.5, on: probabilities}}", 30),
}
EVERY = VARIANTS | LONG


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--work", type=Path, default=Path("runs"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--long-seeds", type=int, nargs="*", default=[0])
    options.add_argument("--variants", nargs="+", default=list(EVERY), choices=EVERY)
    chosen = options.parse_args()
    right: dict[str, list[np.ndarray]] = {name: [] for name in chosen.variants}
    # Seed by seed, so that a run that is cut short has compared everything once.
    for seed in chosen.seeds:
        for name in chosen.variants:
            if name in LONG and seed not in chosen.long_seeds:
                continue
            found = trained(name, seed, chosen.work)
            right[name].append(np.array(found["right"], dtype=bool))
            print(f"{name:<24} seed {seed}: {right[name][-1].mean():.4f}", flush=True)
            rows = [row_of(name, right) for name in chosen.variants if right[name]]
            write(rows, chosen.work)
    for row in rows:
        print(line(row))


def trained(name: str, seed: int, work: Path) -> dict[str, Any]:
    """Train and score a student, unless that was done before."""
    folder = work / "distill-benchmark" / f"{name.replace(' ', '-')}-seed{seed}"
    record = folder / "scored.json"
    if record.is_file():
        return json.loads(record.read_text())
    recipe = load_recipe("quickstart", EVERY[name])
    assert recipe.distill is not None
    folders = {stage.name: stage.folder for stage in run(recipe, work, "teacher-outputs").stages}
    for part in ("student", "onnx"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    summary = distill(
        config=recipe.distill,
        seed=seed,
        data=folders["data"],
        examples=folders.get("transfer", folders["data"]),
        teacher=folders["teacher"],
        teacher_outputs=folders["teacher-outputs"],
        out=folder / "student",
        general=folders.get("general-distill"),
    )
    export_onnx(out=folder / "onnx", data=folders["data"], model=folder / "student")
    artifact = Artifact(name=name, title=name, kind="onnx", folder=str(folder / "onnx"))
    right = correct(artifact, folders["data"])
    found = {"summary": summary, "right": right.astype(int).tolist()}
    record.write_text(json.dumps(found))
    return found


def correct(artifact: Artifact, data: Path) -> np.ndarray:
    """Whether the engine is right on each test example. Shape: (examples,)."""
    description, test = load_description(data), load_split(data, "test")
    engine = open_artifact(artifact, description.labels, description.max_length, threads=1)
    return predict(engine, test.texts, test.labels, artifact.title).argmax(1) == test.labels


def row_of(name: str, right: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    return {
        "name": name,
        "accuracies": [float(one.mean()) for one in right[name]],
        "accuracy": float(np.mean(right[name])),
        "over_baseline": over(name, BASELINE, right),
        "over_soft_targets": over(name, PLAINEST, right) if right.get(PLAINEST) else None,
    }


def over(name: str, other: str, right: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Difference of two variants' means over the seeds that the first has, which come first."""
    if name == other:
        return asdict(Interval(0.0, 0.0, 0.0))
    seeds = len(right[name])
    ours, theirs = (np.stack(right[which][:seeds]).mean(0) for which in (name, other))
    return asdict(paired_difference(ours, theirs, 0.95, 2000))


def line(row: dict[str, Any]) -> str:
    seeds = ", ".join(f"{one:.4f}" for one in row["accuracies"])
    labels = row["over_baseline"]
    return (
        f"{row['name']:<24} accuracy {row['accuracy']:.4f} ({seeds})  "
        f"over labels {labels['value']:+.4f} ({labels['low']:+.4f} to {labels['high']:+.4f})"
    )


def write(rows: list[dict[str, Any]], work: Path) -> None:
    best = max(rows, key=lambda row: row["accuracy"])
    lowest = {f"best ({best['name']}) over labels alone": best["over_baseline"]["low"]}
    for row in rows:
        if row["name"] == FROM_GENERAL and row["over_soft_targets"]:
            lowest[f"{FROM_GENERAL} over {PLAINEST} alone"] = row["over_soft_targets"]["low"]
    write_results(
        "distill",
        environment=environment(),
        teacher=teacher_of(work),
        student=STUDENT,
        epochs={"30 epochs": 30, "others": 3},
        rows=rows,
        bars=[
            {
                "name": f"{name}, lower end of the interval",
                "value": low,
                "target": "> 0",
                "holds": low > 0,
            }
            for name, low in lowest.items()
        ],
    )
    draw(rows, RESULTS / "distill.svg", "learning from labels alone")


def teacher_of(work: Path) -> dict[str, Any]:
    recipe = load_recipe("quickstart", VARIANTS[BASELINE])
    stages = {stage.name: stage.summary for stage in run(recipe, work, "teacher").stages}
    return {key: stages["teacher"][key] for key in ("parameters", "validation_accuracy")}


def draw(rows: list[dict[str, Any]], path: Path, baseline: str) -> None:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(reversed(rows)):
        difference = row["over_baseline"]
        value, low, high = (100 * difference[key] for key in ("value", "low", "high"))
        axes.errorbar(
            value, place, xerr=[[value - low], [high - value]], fmt="o", color="#2f5d8a", capsize=3
        )
    axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)])
    axes.axvline(0, color="#5b6470", linewidth=1)
    axes.set_xlabel(f"test accuracy over {baseline}, percentage points")
    axes.grid(axis="x", color="#dfe3e8")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()

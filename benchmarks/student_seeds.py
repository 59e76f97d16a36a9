"""How much a recipe's accuracy owes to the seed of its student.

    python benchmarks/student_seeds.py sentiment_reviews --work runs --seeds 0 1 2

Runs the recipe as far as its engine once a seed. The teacher and the texts are the same each time,
so a run that was made before lends them; what learns from the teacher is trained anew. Every engine
is scored on the test split. Intervals are over the test examples, of the mean over the seeds, by
paired bootstrap. What is in the work folder already is not trained again.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from aims import MINIMA
from distill import correct
from report import environment, spread, write_results

from pocketbert.eval.intervals import retention
from pocketbert.recipes.cache import Stage, StageCache, Step
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.pipeline import plan
from pocketbert.recipes.schema import CACHE_FOLDER

LEARNS_FROM_TEACHER = ("distill", "prune", "sparsify", "qat")
TEACHER = "teacher-onnx"


class SeededStudents(StageCache):
    """The stages of a recipe whose student has another seed than its teacher."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.seed = seed

    def step(
        self, name: str, stage: Stage, params: Mapping[str, Any], sources: Sequence[str] = ()
    ) -> Step:
        """Describe work, with the student's seed where it learns."""
        other = {"seed": self.seed} if name in LEARNS_FROM_TEACHER else {}
        return super().step(name, stage, {**params, **other}, sources)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "recipe", choices=[name for name, aims in MINIMA.items() if "retention" in aims]
    )
    options.add_argument("--work", type=Path, default=Path("runs"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = options.parse_args()
    right: dict[str, list[np.ndarray]] = {}
    for seed in chosen.seeds:
        for name, one in trained(chosen.recipe, seed, chosen.work).items():
            right.setdefault(name, []).append(one)
            print(f"{name:<16} seed {seed}: {one.mean():.4f}", flush=True)
    rows = [row_of(name, right) for name in right if name != TEACHER]
    for row in rows:
        kept = row["retention"]
        print(
            f"{row['name']:<16} accuracy {row['accuracy']['mean']:.4f}  of the teacher's "
            f"{kept['value']:.4f} ({kept['low']:.4f} to {kept['high']:.4f})  "
            f"a seed {', '.join(f'{one:.4f}' for one in row['retention_of_each_seed'])}"
        )
    engine = next(row for row in rows if row["name"] == "engine")
    kept, least = engine["retention"]["value"], MINIMA[chosen.recipe]["retention"]
    write_results(
        f"student_seeds_{chosen.recipe}",
        environment=environment(),
        seeds=chosen.seeds,
        teacher_accuracy=float(right[TEACHER][0].mean()),
        rows=rows,
        bars=[
            {
                "name": "retention of the engine, mean over the seeds",
                "value": kept,
                "target": f">= {least:g}",
                "holds": kept >= least,
            }
        ],
    )


def trained(recipe: str, seed: int, work: Path) -> dict[str, np.ndarray]:
    """Make the engine of a seed; say where it and what came before it are right."""
    cache = SeededStudents(work / CACHE_FOLDER, seed)
    steps = {step.name: step for step in plan(load_recipe(recipe, ()), cache)}
    for step in steps.values():
        if step.name == "evaluate":
            break
        cache.run(step)
    data, artifacts = steps["data"].folder, steps["evaluate"].params["artifacts"]
    # The teacher in PyTorch gives the labels of the exported one, at a multiple of the time.
    return {one.name: correct(one, data) for one in artifacts if one.kind != "model"}


def row_of(name: str, right: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    ours, teacher = np.stack(right[name]), np.stack(right[TEACHER])
    return {
        "name": name,
        "accuracies": [float(one.mean()) for one in ours],
        "accuracy": spread([float(one.mean()) for one in ours]),
        "retention_of_each_seed": [float(one.mean() / teacher[0].mean()) for one in ours],
        "retention": asdict(retention(ours.mean(0), teacher.mean(0), 0.95, 2000)),
    }


if __name__ == "__main__":
    main()

"""Every task from its teacher to its INT8 engine, and what transformers' own pipeline answers.

    pocketbert run quickstart && pocketbert run rating && pocketbert run entities_tweets
    python benchmarks/tasks.py runs/quickstart runs/rating runs/entities_tweets

A row for each finished run, from its report. Then transformers' pipeline reads test texts with the
student as it was distilled, and our FP32 engine of that student reads them too: the same labels,
spans or values, with scores that differ by at most TOLERANCE.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import environment, write_results
from transformers import pipeline

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.folder import load_model, load_tokenizer
from pocketbert.deploy.engine import Engine
from pocketbert.eval.doctor.accuracy import stages_of_run

TEXTS = 200
TOLERANCE = 1e-4
LEAST_RETENTION = 0.9


@dataclass(frozen=True)
class Peer:
    """transformers' pipeline for a kind of task; answers are compared as scores by name.

    Attributes:
        pipeline: Its name.
        theirs: Its answer for one text.
        ours: Our answer for it.
        options: Of the pipeline.
    """

    pipeline: str
    theirs: Callable[[Any], dict[str, float]]
    ours: Callable[[Any], dict[str, float]]
    options: dict[str, Any] = field(default_factory=dict)


# Kind of task -> what answers beside us.
PEERS = {
    "text-classification": Peer(
        "text-classification",
        lambda found: {found["label"]: found["score"]},
        lambda answer: {answer.label: answer.score},
        {"truncation": True},
    ),
    "text-regression": Peer(
        "text-classification",
        lambda found: {"value": found["score"]},
        lambda answer: {"value": answer.value},
        {"truncation": True, "function_to_apply": "none"},
    ),
    "token-classification": Peer(
        "token-classification",
        lambda found: {
            named(one["start"], one["end"], one["entity_group"]): one["score"] for one in found
        },
        lambda answer: {named(one.start, one.end, one.label): one.score for one in answer.entities},
        {"aggregation_strategy": "first"},
    ),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", type=Path, nargs="+", help="folders of results of finished runs")
    runs = options.parse_args().runs
    rows = [row_of(json.loads((run / "report.json").read_text())) for run in runs]
    for row, run in zip(rows, runs, strict=True):
        row["pipeline"] = beside_pipeline(run, row["task"])
        print(told(row))
    write_results(
        "tasks",
        environment=environment(),
        rows=rows,
        bars=[bar for row in rows for bar in bars_of(row)],
    )


def row_of(report: dict[str, Any]) -> dict[str, Any]:
    """What a run's report says of its task."""
    results, summary = report["results"], report["summary"]
    artifacts = {one["artifact"]["name"]: one for one in results["artifacts"]}
    compiled = next(stage for stage in report["stages"] if stage["name"] == "compile")
    return {
        "recipe": report["recipe"]["name"],
        "task": report["recipe"]["task"]["kind"],
        "seed": report["recipe"]["seed"],
        "measured_at": results["environment"]["measured_at"],
        "metric": results.get("metric", "accuracy"),  # reports of before there were others
        "test_texts": results["split_sizes"]["test"],
        "teacher": artifacts[results["teacher"]]["accuracy"],
        "student": artifacts["student-onnx"]["accuracy"],
        "engine": artifacts[results["engine"]]["accuracy"],
        "retention": summary["retention"],
        "retention_interval": summary["retention_interval"],
        "p50_ratio_pytorch": summary["p50_ratio_pytorch"],
        "weights_bytes": artifacts[results["engine"]]["footprint"]["weights_bytes"],
        "bundle_bytes": compiled["summary"]["bundle_bytes"],
    }


def beside_pipeline(run: Path, kind: str) -> dict[str, Any]:
    """How often transformers' pipeline and our FP32 engine say the same of the student."""
    stages, peer = stages_of_run(run), PEERS[kind]
    data, model = load_description(stages["data"]), stages["distill"] / "model"
    texts = load_split(stages["data"], "test").texts[:TEXTS]
    tokenizer = load_tokenizer(model)
    tokenizer.model_max_length = data.max_length
    ask = pipeline(peer.pipeline, model=load_model(model), tokenizer=tokenizer, **peer.options)
    engine = Engine.from_onnx(stages["export-student"], data.labels, data.max_length, kind=kind)
    pairs = [
        (peer.theirs(found), peer.ours(answer))
        for found, answer in zip(ask(texts), engine(texts), strict=True)
    ]
    same = [(theirs, ours) for theirs, ours in pairs if theirs.keys() == ours.keys()]
    differences = [abs(theirs[name] - ours[name]) for theirs, ours in same for name in ours]
    return {
        "texts": len(texts),
        "same_answer": len(same),
        "answers": sum(len(ours) for _, ours in pairs),
        "max_abs_difference": float(max(differences, default=0.0)),
    }


def named(start: int, end: int, label: str) -> str:
    return f"{start}-{end} {label}"


def told(row: dict[str, Any]) -> str:
    low, high = row["retention_interval"]
    return (
        f"{row['recipe']:<18} {row['metric']}: teacher {row['teacher']['value']:.4f}, student "
        f"{row['student']['value']:.4f}, INT8 {row['engine']['value']:.4f}, retention "
        f"{row['retention']:.4f} ({low:.4f} to {high:.4f}), {row['p50_ratio_pytorch']:.1f}x "
        f"PyTorch, "
        f"{row['weights_bytes'] / 1e6:.1f} MB; pipeline: {row['pipeline']['same_answer']} of "
        f"{row['pipeline']['texts']} the same, scores within "
        f"{row['pipeline']['max_abs_difference']:.1e}"
    )


def bars_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    name, peer = row["recipe"], row["pipeline"]
    return [
        {
            "name": f"{name}: retention",
            "value": row["retention"],
            "target": f">= {LEAST_RETENTION:g}",
            "holds": row["retention"] >= LEAST_RETENTION,
        },
        {
            "name": f"{name}: texts with the pipeline's answer",
            "value": peer["same_answer"],
            "target": f"all of {TEXTS}",
            "holds": peer["same_answer"] == peer["texts"] == TEXTS,
        },
        {
            "name": f"{name}: largest difference of a score",
            "value": peer["max_abs_difference"],
            "target": f"<= {TOLERANCE:g}",
            "holds": peer["max_abs_difference"] <= TOLERANCE,
        },
    ]


if __name__ == "__main__":
    main()

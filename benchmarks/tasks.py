"""Every task from its teacher to its INT8 engine, and who else says the same.

    pocketbert run quickstart && pocketbert run rating && pocketbert run entities_tweets
    python benchmarks/tasks.py runs/quickstart runs/rating runs/entities_tweets

A row for each finished run, from its report. Then its FP32 student, as it was distilled, answers
texts, of the test split first, in three ways: our Python engine, our C++ engine, and transformers
(tests/tasks/peers.py says by what): the same labels, spans or values, with scores that differ by at
most TOLERANCE. The same is done for every kind of task with tiny models that learned made-up tasks,
by running the test that does it, so that there is a figure for those without a finished run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path
from typing import Any

from report import environment, write_results

from pocketbert.compress.config import CONTEXT, HEAD
from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine, read_thresholds
from pocketbert.eval.doctor.accuracy import stages_of_run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # what tests and this share

from tests.tasks.peers import PEERS, Asked, agreement, cpp_answers  # noqa: E402

TEXTS = 200
TOLERANCE = 1e-4
LEAST_RETENTION = 0.9
WHO = ("transformers", "cpp")
PROGRAM = ROOT / ".pytest_cache/d/cpp/build/pocketbert-run"  # as the tests build it
TINY = "tests/tasks/test_peers.py"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", type=Path, nargs="+", help="folders of results of finished runs")
    runs = options.parse_args().runs
    tiny = tiny_models()  # which also builds the C++ program
    rows = [row_of(json.loads((run / "report.json").read_text())) for run in runs]
    for row, run in zip(rows, runs, strict=True):
        row["beside"] = beside(run, row["task"])
        print(told(row))
    write_results(
        "tasks",
        environment=environment(),
        tolerance=TOLERANCE,
        rows=rows,
        tiny=tiny,
        bars=[*(bar for row in rows for bar in bars_of(row)), *bars_of_tiny(tiny)],
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


def beside(run: Path, kind: str) -> dict[str, Any]:
    """What the others say of the student's first test texts, compared with our Python engine."""
    stages, peer = stages_of_run(run), PEERS[kind]
    data, exported = load_description(stages["data"]), stages["export-student"]
    splits = [load_split(stages["data"], name).texts for name in ("test", "validation", "train")]
    texts = [text for split in splits for text in split][:TEXTS]
    asked = Asked(
        stages["distill" if "distill" in stages else "distill-translator"] / "model",
        data.max_length,
        texts,
        read_thresholds(exported),
        data.truncation.window_overlap,
    )
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        compile_bundle(
            out=Path(scratch),
            config=CompileConfig(),
            data=stages["data"],
            exported=exported,
            quantized=None,
            lineage={},
            name="student in FP32",
        )
        python = [peer.ours(asdict(one)) for one in Engine.open(bundle)(texts)]
        cpp = [peer.ours(one) for one in cpp_answers(PROGRAM, bundle, texts)]
    return {
        "by": peer.says,
        "cpp": asdict(agreement(texts, python, cpp)),
        # Of a long text transformers reads the head, or windows of a question's context.
        "transformers": asdict(agreement(texts, python, peer.theirs(asked)))
        if data.truncation.keep in (HEAD.keep, CONTEXT)
        else None,
    }


def tiny_models() -> list[dict[str, Any]]:
    """What the test of tiny models counted, a row a case."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = ["-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}", TINY]
        subprocess.run([sys.executable, *command], cwd=ROOT)
        cases = list(ElementTree.parse(report).iter("testcase"))
    rows = []
    for case in cases:
        counts = {one.attrib["name"]: float(one.attrib["value"]) for one in case.iter("property")}
        _, bracket, name = case.attrib["name"].partition("[")
        if bracket:
            rows.append({"case": name.rstrip("]"), "passed": not _bad(case), **counts})
    return rows


def _bad(case: ElementTree.Element) -> bool:
    return any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))


def told(row: dict[str, Any]) -> str:
    low, high = row["retention_interval"]
    return (
        f"{row['recipe']:<18} {row['metric']}: teacher {row['teacher']['value']:.4f}, student "
        f"{row['student']['value']:.4f}, INT8 {row['engine']['value']:.4f}, retention "
        f"{row['retention']:.4f} ({low:.4f} to {high:.4f}), {row['p50_ratio_pytorch']:.1f}x "
        f"PyTorch, {row['weights_bytes'] / 1e6:.1f} MB; the same answer: "
        + ", ".join(
            f"{who} {row['beside'][who]['same_answer']} of {row['beside'][who]['texts']} "
            f"(scores within {row['beside'][who]['max_abs_difference']:.1e})"
            for who in WHO
            if row["beside"][who]
        )
    )


def bars_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    bars = [
        {
            "name": f"{row['recipe']}: retention",
            "value": row["retention"],
            "target": f">= {LEAST_RETENTION:g}",
            "holds": row["retention"] >= LEAST_RETENTION,
        }
    ]
    for who in WHO:
        found = row["beside"][who]
        if found is None:
            continue
        bars += [
            {
                "name": f"{row['recipe']}: texts with the answer of {who}",
                "value": found["same_answer"],
                "target": f"all of {TEXTS}",
                "holds": found["same_answer"] == found["texts"] == TEXTS,
            },
            {
                "name": f"{row['recipe']}: largest difference of a score to {who}",
                "value": found["max_abs_difference"],
                "target": f"<= {TOLERANCE:g}",
                "holds": found["max_abs_difference"] <= TOLERANCE,
            },
        ]
    return bars


def bars_of_tiny(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    passed = sum(row["passed"] for row in rows)
    return [
        {
            "name": f"kinds of tasks, on tiny models, whose {TEXTS} texts get one answer from "
            "Python, C++ and transformers",
            "value": passed,
            "target": f"all of {len(rows)}",
            "holds": 0 < passed == len(rows),
        }
    ]


if __name__ == "__main__":
    main()

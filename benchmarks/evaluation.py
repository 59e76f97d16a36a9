"""Whether the harness can be believed: its metrics, its intervals, its clock, and what it costs.

Then what it says of the quickstart's engines, of engines planted with a fault, and of gates.

    python benchmarks/evaluation.py --run runs/quickstart

needs a run of the quickstart with its cache, openvino, mlcommons-loadgen, for the report a Chromium
and playwright, and for the metrics' peers torchmetrics and statsmodels, which nothing else here
needs. `--rows` runs some rows again; the others keep what they found.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from doctor import fault_bars, gate_bars, gates_table, page_bar, planted_faults, report_page
from report import RESULTS, command, environment, write_results
from scipy import stats

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.doctor.accuracy import stages_of_run
from pocketbert.eval.environment import usable_cpus
from pocketbert.eval.floors import floors
from pocketbert.eval.intervals import mcnemar, paired_difference, proportion, retention
from pocketbert.eval.latency import choose_texts, measure_latency
from pocketbert.eval.loadgen import LATENCIES_FILE, Request, drive
from pocketbert.eval.metrics import class_metrics, macro_f1
from pocketbert.eval.pooled import pooled_difference
from pocketbert.eval.reliability import calibration_error
from pocketbert.eval.roofline import floor_of, measure_peaks, work_of
from pocketbert.eval.tasks import MEASURES
from pocketbert.eval.token_lengths import token_lengths
from pocketbert.eval.worker import time_texts, warm_up

TRIALS, EXAMPLES, RESAMPLES, CONFIDENCE = 2000, 300, 400, 0.95
SEEDS, SEED_SPREAD = 3, 0.1
SPIN_MS = 1.0
Found = tuple[dict[str, Any], list[dict[str, Any]]]


def bar(name: str, value: Any, target: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": bool(holds)}


def metrics(options: argparse.Namespace) -> Found:
    """Our figures beside those of the libraries, on random predictions."""
    import torch
    from sklearn import metrics as sklearn
    from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
    from torchmetrics.functional.classification import multiclass_calibration_error

    draw, largest = np.random.default_rng(0), 0.0
    for classes in (2, 3, 10):
        for _ in range(20):
            probabilities = draw.dirichlet(np.ones(classes), EXAMPLES)
            answers = probabilities.argmax(1)
            truth = np.where(draw.random(EXAMPLES) < 0.6, answers, draw.integers(0, classes))
            other = np.where(draw.random(EXAMPLES) < 0.5, truth, draw.integers(0, classes))
            right, others = answers == truth, other == truth
            names = tuple(map(str, range(classes)))
            ours = class_metrics(truth, answers, names)
            table = [[(right & others).sum(), (right & ~others).sum()]]
            table += [[(~right & others).sum(), (~right & ~others).sum()]]
            pairs = [
                (proportion(right, 0.95).value, sklearn.accuracy_score(truth, answers)),
                (
                    macro_f1(truth, answers, classes, 0.95, 10).value,
                    sklearn.f1_score(
                        truth, answers, average="macro", labels=range(classes), zero_division=0
                    ),
                ),
                (
                    float(np.mean([one.recall for one in ours.values()])),
                    sklearn.recall_score(
                        truth, answers, average="macro", labels=range(classes), zero_division=0
                    ),
                ),
                (
                    calibration_error(probabilities, truth),
                    float(
                        multiclass_calibration_error(
                            torch.tensor(probabilities),
                            torch.tensor(truth),
                            classes,
                            n_bins=15,
                            norm="l1",
                        )
                    ),
                ),
                (mcnemar(right, others), float(their_mcnemar(np.array(table)).pvalue)),
            ]
            largest = max(largest, *(abs(mine - theirs) for mine, theirs in pairs))
    raw = {"examples": EXAMPLES, "tables": 60, "largest_difference": largest}
    return raw, [bar("metrics equal the libraries'", largest, "<= 1e-6", largest <= 1e-6)]


def coverage(options: argparse.Namespace) -> Found:
    """How often an interval of 95 % holds the true value, by simulation."""
    draw = np.random.default_rng(0)
    of_config = (CONFIDENCE, RESAMPLES)
    # Hard examples are hard for both; the true accuracies follow from the normal distribution.
    ours_at, theirs_at, noise = 1.0, 1.2, 0.3

    def right(hardness: Any, at: float, seeds: int = 1, spread: float = 0.0) -> Any:
        shape = (seeds, len(hardness))
        shift = at + spread * draw.normal(size=(seeds, 1)) + noise * draw.normal(size=shape)
        return hardness + shift > 0

    def true(at: float, spread: float = 0.0) -> float:
        return float(stats.norm.cdf(at / np.sqrt(1 + noise**2 + spread**2)))

    measure = MEASURES["text-classification"](("no", "yes"))
    hits: dict[str, list[bool]] = {}
    for _ in range(TRIALS):
        hardness = draw.normal(size=EXAMPLES)
        mine, theirs = right(hardness, ours_at)[0], right(hardness, theirs_at)[0]
        truth = draw.random(EXAMPLES) < 0.3
        answers = truth ^ (draw.random(EXAMPLES) < 0.1)
        trained = [
            right(hardness, at, SEEDS, SEED_SPREAD)[..., None].astype(float)
            for at in (ours_at, theirs_at)
        ]
        spread = true(ours_at, SEED_SPREAD) - true(theirs_at, SEED_SPREAD)
        for name, interval, value in (
            ("accuracy", proportion(mine, CONFIDENCE), true(ours_at)),
            (
                "difference",
                paired_difference(mine, theirs, *of_config),
                true(ours_at) - true(theirs_at),
            ),
            ("retention", retention(mine, theirs, *of_config), true(ours_at) / true(theirs_at)),
            (
                "macro F1",
                macro_f1(truth.astype(int), answers.astype(int), 2, *of_config),
                # 0.27 of 0.3 + 0.34 given, and 0.63 of 0.7 + 0.66.
                (2 * 0.27 / 0.64 + 2 * 0.63 / 1.36) / 2,
            ),
            (
                f"{SEEDS} seeds",
                pooled_difference(measure, trained[0], trained[1], *of_config),
                spread,
            ),
        ):
            hits.setdefault(name, []).append(interval.holds(value))
    found = {name: float(np.mean(covered)) for name, covered in hits.items()}
    raw = {"trials": TRIALS, "examples": EXAMPLES, "resamples": RESAMPLES, "coverage": found}
    return raw, [
        bar(f"coverage of 95 % intervals: {name}", value, "0.93 to 0.97", 0.93 <= value <= 0.97)
        for name, value in found.items()
    ]


class Spin:
    """Takes a millisecond, and remembers when it began and ended."""

    def __init__(self) -> None:
        self.began_ns: list[int] = []
        self.ended_ns: list[int] = []

    def __call__(self, texts: list[str]) -> None:
        """Answer nothing, a millisecond long."""
        now_ns = time.perf_counter_ns()
        self.began_ns.append(now_ns)
        until_ns = now_ns + int(SPIN_MS * 1e6)
        while time.perf_counter_ns() < until_ns:
            pass
        self.ended_ns.append(time.perf_counter_ns())

    @property
    def gap_ms(self) -> float:
        """Median time between two inferences; what disturbs the machine hits few of them."""
        return float(np.median(np.array(self.began_ns[1:]) - np.array(self.ended_ns[:-1]))) / 1e6


def loadgen(options: argparse.Namespace) -> Found:
    """Percentiles of LoadGen's log beside ours, at 1 ms an inference."""
    raw: dict[str, Any] = {}
    terms = {
        "single_stream": {},
        "offline": {"batch_size": 8},
        "server": {"rate_per_s": 100.0, "latency_ms": 100.0},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for scenario, more in terms.items():
            folder = Path(scratch) / scenario
            request = Request(
                scenario=scenario, seconds=5, folder=str(folder), expected_ms=SPIN_MS, **more
            )
            log = drive(Spin(), ["a"] * 10, request)
            latencies_ms = np.load(folder / LATENCIES_FILE)
            for percentile in (50, 90, 99):
                ours_ms = float(np.percentile(latencies_ms, percentile, method="inverted_cdf"))
                theirs_ms = log[f"{percentile}.00_percentile_latency_ns"] / 1e6
                raw[f"{scenario} p{percentile}"] = {"ours_ms": ours_ms, "loadgen_ms": theirs_ms}
    apart = {name: abs(v["ours_ms"] / v["loadgen_ms"] - 1) for name, v in raw.items()}
    return raw, [
        bar(f"LoadGen's {name} differs from ours by", value, "<= 0.02", value <= 0.02)
        for name, value in apart.items()
    ]


def overhead(options: argparse.Namespace) -> Found:
    """What the harness puts between two inferences of 1 ms, beside a bare loop."""
    texts = ["a"] * 2000
    bare, timed, driven = Spin(), Spin(), Spin()
    for text in texts:
        bare([text])
    time_texts(timed, texts)
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(scenario="single_stream", seconds=3, folder=scratch, expected_ms=SPIN_MS)
        drive(driven, texts, request)
    gaps = {"bare loop": bare.gap_ms, "rounds": timed.gap_ms, "LoadGen": driven.gap_ms}
    raw = {"inference_ms": SPIN_MS, "median_gap_ms": gaps}
    shares = {name: (gap - bare.gap_ms) / SPIN_MS for name, gap in gaps.items()}
    return raw, [
        bar(f"overhead at 1 ms: {name}", shares[name], "< 0.02", shares[name] < 0.02)
        for name in ("rounds", "LoadGen")
    ]


def engines(options: argparse.Namespace) -> Found:
    """The teacher in several runtimes and every target of a bundle of two, each over its floor."""
    stages = stages_of_run(options.run)
    description = load_description(stages["data"])
    config = EvaluateConfig(latency_texts=options.texts, latency_rounds=options.rounds)
    texts = choose_texts(load_split(stages["data"], "test").texts, config.latency_texts)
    peaks = measure_peaks(config.threads)
    with tempfile.TemporaryDirectory() as scratch:
        artifacts, absent = engines_of(stages, Path(scratch))
        measured = measure_latency(
            artifacts, texts, description.labels, description.max_length, config, Path(scratch)
        )
        p50_ms = {name: float(np.median(one.latencies_ms)) for name, one in measured.items()}
        floor = floors(artifacts, p50_ms, texts, description.max_length, peaks)
    latencies_ms = {name: one.latencies_ms for name, one in measured.items()}
    teacher, compiled = stages["teacher"] / "model", "teacher, torch.compile (not in turns)"
    latencies_ms[compiled] = torch_compile(teacher, texts, config)
    floor[compiled] = floor_of(
        peaks,
        work_of(stages["export-teacher"] / "model.onnx"),
        token_lengths(teacher, texts, description.max_length),
        "float32",
        float(np.median(latencies_ms[compiled])),
    )
    rows = [row_of(name, values, floor[name]) for name, values in latencies_ms.items()]
    rows.sort(key=lambda row: -row["p50_ms"])
    print_table(rows, absent)
    below = [row["name"] for row in rows if row["p50_over_floor"] < 1]
    raw = {"peaks": vars(peaks), "texts": len(texts), "rounds": config.latency_rounds}
    raw |= {"rows": rows, "absent": absent}
    return raw, [bar("engines below their floor", below, "none", not below)]


def engines_of(stages: dict[str, Path], scratch: Path) -> tuple[list[Artifact], dict[str, str]]:
    """What is timed in turns; and what cannot be here, with the reason."""
    exported, student = stages["export-teacher"], stages["export-pruned"]
    artifacts = [
        artifact("teacher, PyTorch eager", "model", stages["teacher"] / "model", "teacher"),
        artifact("teacher, ONNX Runtime FP32", "onnx", exported, "teacher"),
    ]
    absent = {}
    for precision, called in (("float32", "FP32"), ("bfloat16", "BF16")):
        name = f"teacher, OpenVINO {called}"
        config = CompileConfig(target="openvino", float_precision=precision)
        try:
            folder = bundle(scratch / precision, config, stages["data"], exported, None)
        except BundleError as error:
            absent[name] = str(error)
            continue
        artifacts.append(artifact(name, "bundle", folder, "teacher"))
    artifacts.append(artifact("student, ONNX Runtime FP32", "onnx", student, "student"))
    config = CompileConfig(target="onnxruntime", also=("openvino",))
    folder = bundle(scratch / "both", config, stages["data"], student, stages["quantize"])
    artifacts += [
        artifact(f"bundle, {target.name}", "bundle", folder, "student", target.name)
        for target in read_bundle(folder).manifest.targets
    ]
    return artifacts, absent


def bundle(
    out: Path, config: CompileConfig, data: Path, exported: Path, quantized: Path | None
) -> Path:
    out.mkdir()
    compile_bundle(
        out=out,
        config=config,
        data=data,
        exported=exported,
        quantized=quantized,
        lineage={},
        name="measured",
    )
    return out / "bundle"


def print_table(rows: list[dict[str, Any]], absent: dict[str, str]) -> None:
    for row in rows:
        print(
            f"{row['name']:<40} p50 {row['p50_ms']:.3f} ms, p99 {row['p99_ms']:.3f} ms, "
            f"floor {row['floor_ms']:.3f} ms, {row['p50_over_floor']:.2f} times"
        )
    for name, reason in absent.items():
        print(f"{name:<40} not here: {reason}")


def faults(options: argparse.Namespace) -> Found:
    """Engines planted with a fault: what the doctor names, and what its remedy restores."""
    rows = list(planted_faults(options.run))
    for row in rows:
        print(f"{row['fault']}: {row['figures']}\n  {row['found']}\n  remedy: {row['remedy']}")
    return {"faults": rows}, fault_bars(rows)


def gates(options: argparse.Namespace) -> Found:
    """How gates end with which exit code; and the page that such a run leaves."""
    with tempfile.TemporaryDirectory() as scratch:
        shown = Path(scratch) / "report.html"
        rows = list(gates_table(options.run, options.recipe, shown))
        page = report_page(shown)
    return {"gates": rows, "report": page}, [*gate_bars(rows), page_bar(page)]


def artifact(name: str, kind: Any, folder: Path, model: str, target: str | None = None) -> Artifact:
    return Artifact(
        name=name, title=name, kind=kind, folder=str(folder), model_folder=model, target=target
    )


def row_of(name: str, latencies_ms: Any, floor: Any) -> dict[str, Any]:
    p50_ms, p90_ms, p99_ms = np.percentile(latencies_ms, (50, 90, 99)).tolist()
    return {
        "name": name,
        "p50_ms": p50_ms,
        "p90_ms": p90_ms,
        "p99_ms": p99_ms,
        "macs": floor.macs,
        "floor_ms": floor.ms,
        "p50_over_floor": floor.p50_over_floor,
        "p50_by_round_ms": np.median(latencies_ms, axis=1).tolist(),
    }


def torch_compile(model: Path, texts: list[str], config: EvaluateConfig) -> Any:
    """Time it in a process of its own; it needs long to compile, so it takes no turns."""
    child = subprocess.run(
        [sys.executable, __file__, "--torch-compile", str(model)],
        input=json.dumps({"texts": texts, "rounds": config.latency_rounds}),
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(json.loads(child.stdout.splitlines()[-1]))


def time_torch_compile(model: Path) -> None:
    import os

    import torch

    asked = json.loads(sys.stdin.read())
    os.sched_setaffinity(0, usable_cpus()[-1:])
    engine = Engine.from_model_folder(model, threads=1)
    runner: Any = engine._runner
    runner._model = torch.compile(runner._model, dynamic=True)
    warm_up(engine, asked["texts"][:10])
    print(json.dumps([time_texts(engine, asked["texts"]) for _ in range(asked["rounds"])]))


ROWS: dict[str, Callable[[argparse.Namespace], Found]] = {
    "metrics": metrics,
    "coverage": coverage,
    "loadgen": loadgen,
    "overhead": overhead,
    "engines": engines,
    "faults": faults,
    "gates": gates,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--recipe", default="quickstart", help="what that run was made of")
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--torch-compile", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_compile:
        time_torch_compile(options.torch_compile)
        return
    kept = RESULTS / "evaluation.json"
    rows = json.loads(kept.read_text())["rows"] if kept.is_file() else {}
    for name in options.rows:
        raw, bars = ROWS[name](options)
        rows[name] = {"environment": environment(), "command": command(sys.argv)}
        rows[name] |= {"raw": raw, "bars": bars}
        # After each row, so that a later one that fails costs nothing.
        everything = [one for row in rows.values() for one in row["bars"]]
        write_results("evaluation", rows=rows, bars=everything)


if __name__ == "__main__":
    main()

"""Run shipped recipes from the start, watch time and memory, hold them against their bars.

    python benchmarks/recipes.py quickstart --work runs/watched --seeds 0 1 2
    python benchmarks/recipes.py sentiment_base --finished runs/sentiment_base

The work folder must not hold the runs yet, or hold them from an earlier call of this script, whose
figures then count. The first seed is held against the bars, all of them give the spread of
accuracy. A download that is still to be made counts as time. Of a run that nobody watched
(`--finished`) the memory is not known, and of the time no more than that of each stage.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from aims import MAXIMA, MINIMA
from report import spread, write_results

POCKETBERT = str(Path(sys.executable).with_name("pocketbert"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("recipe", choices=MINIMA)
    place = options.add_mutually_exclusive_group(required=True)
    place.add_argument("--work", type=Path, help="folder for runs that are watched")
    place.add_argument("--finished", type=Path, nargs="+", help="folders of runs made before")
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = options.parse_args()
    name = chosen.recipe
    watched: list[tuple[Path, dict[str, float]]] = []
    watched += [(folder, {}) for folder in chosen.finished or []]
    if chosen.work:
        watched = [watch(name, seed, chosen.work) for seed in chosen.seeds]
    reports = [json.loads((folder / "report.json").read_text()) for folder, _ in watched]
    rows = [row_of(report) | figures for report, (_, figures) in zip(reports, watched, strict=True)]
    for row in rows:
        print(
            f"{row['name']:<20} seed {row['seed']}: teacher {row['teacher_accuracy']:.4f}, "
            f"engine {row['engine_accuracy']:.4f}, retention {row['retention']:.4f} "
            f"({row['retention_interval'][0]:.4f} to {row['retention_interval'][1]:.4f}), "
            f"{row['p50_ratio_pytorch']:.2f}x PyTorch, {row['p50_ratio_onnxruntime']:.2f}x "
            f"ONNX Runtime, {row['size_ratio']:.2f}x smaller"
        )
    write_results(
        f"recipe_{name}",
        environment=reports[0]["results"]["environment"],
        runs=rows,
        engine_accuracy=spread([row["engine_accuracy"] for row in rows]),
        retention=spread([row["retention"] for row in rows]),
        bars=bars_of(name, rows[0]),
    )


def bars_of(name: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    lower = [
        {"name": key, "value": run[key], "target": f">= {least:g}", "holds": run[key] >= least}
        for key, least in MINIMA[name].items()
    ]
    upper = [
        {"name": key, "value": run[key], "target": f"<= {most:g}", "holds": run[key] <= most}
        for key, most in MAXIMA[name].items()
        if key in run
    ]
    return lower + upper


def watch(recipe: str, seed: int, work: Path) -> tuple[Path, dict[str, float]]:
    """Run a recipe, or take the figures of an earlier call; return its folder and what it took."""
    folder = work / f"{recipe}-seed{seed}"
    record = folder / "watched.json"
    if record.is_file():
        return folder, json.loads(record.read_text())
    if folder.exists():
        sys.exit(f"{folder} was not made by this script, expected none; choose another --work")
    sets = ["--set", f"seed={seed}", "--set", f"name={folder.name}"]
    start, peak_bytes = time.monotonic(), 0
    process = psutil.Popen([POCKETBERT, "run", recipe, "--work", str(work), *sets])
    while process.poll() is None:
        peak_bytes = max(peak_bytes, resident_bytes(process))
        time.sleep(0.5)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    figures = {"command_s": time.monotonic() - start, "peak_bytes": peak_bytes}
    record.write_text(json.dumps(figures))
    return folder, figures


def resident_bytes(process: psutil.Process) -> int:
    """Return the memory of a process and all below it; pages they share count each time."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:  # one ended while being looked at
        return total
    return total


def row_of(report: dict[str, Any]) -> dict[str, Any]:
    artifacts = {one["artifact"]["name"]: one for one in report["results"]["artifacts"]}
    stages = {stage["name"]: stage for stage in report["stages"]}
    return {
        "name": report["recipe"]["name"],
        "seed": report["recipe"]["seed"],
        **report["summary"],
        "int8_agreement": artifacts["engine"]["to_previous"]["agreement"]["value"],
        "teacher_max_abs_logit_difference": artifacts["teacher-onnx"]["to_previous"][
            "max_abs_logit_difference"
        ],
        "bundle_bytes": stages["compile"]["summary"]["bundle_bytes"],
        "stage_seconds": {name: stage["seconds"] for name, stage in stages.items()},
        "artifacts": {
            name: {
                "accuracy": one["accuracy"],
                "p50_ms": one["latency"]["p50_ms"],
                "p99_ms": one["latency"]["p99_ms"],
                "weights_bytes": one["footprint"]["weights_bytes"],
                "peak_bytes": one["peak_bytes"],
            }
            for name, one in artifacts.items()
        },
    }


if __name__ == "__main__":
    main()

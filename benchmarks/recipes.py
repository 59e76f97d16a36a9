"""Hold finished runs of the shipped recipes against their bars.

    pocketbert run quickstart
    pocketbert run quickstart --set seed=1 --set name=quickstart-seed1
    pocketbert run quickstart --set seed=2 --set name=quickstart-seed2
    python benchmarks/recipes.py quickstart runs/quickstart runs/quickstart-seed[12]

    pocketbert run sentiment_base
    python benchmarks/recipes.py sentiment_base runs/sentiment_base

The first run named is held against the bars, all of them give the spread of accuracy.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from report import write_results

MINIMA: dict[str, dict[str, float]] = {
    "quickstart": {
        "retention": 0.97,
        "p50_ratio_pytorch": 8,
        "p50_ratio_onnxruntime": 4,
        "size_ratio": 5,
    },
    "sentiment_base": {
        "retention": 0.95,
        "p50_ratio_pytorch": 30,
        "p50_ratio_onnxruntime": 15,
    },
}
MIN_INT8_AGREEMENT = 0.98
MAX_LOGIT_DIFFERENCE = 1e-4


def main() -> None:
    name, *folders = sys.argv[1:]
    reports = [json.loads((Path(folder) / "report.json").read_text()) for folder in folders]
    rows = [row_of(report) for report in reports]
    for row in rows:
        print(
            f"{row['name']:<20} seed {row['seed']}: teacher {row['teacher_accuracy']:.4f}, "
            f"engine {row['engine_accuracy']:.4f}, retention {row['retention']:.4f} "
            f"({row['retention_interval'][0]:.4f} to {row['retention_interval'][1]:.4f}), "
            f"{row['p50_ratio_pytorch']:.2f}x PyTorch, {row['p50_ratio_onnxruntime']:.2f}x "
            f"ONNX Runtime, {row['size_ratio']:.2f}x smaller, {row['wall_s']:.0f} s"
        )
    first = rows[0]
    bars = [
        bar(key, first[key], f">= {least:g}", first[key] >= least)
        for key, least in MINIMA[name].items()
    ]
    bars.append(
        bar(
            "INT8 label agreement with the unquantized student",
            first["int8_agreement"],
            f">= {MIN_INT8_AGREEMENT}",
            first["int8_agreement"] >= MIN_INT8_AGREEMENT,
        )
    )
    bars.append(
        bar(
            "largest logit difference of the FP32 engine to PyTorch",
            first["teacher_max_abs_logit_difference"],
            f"<= {MAX_LOGIT_DIFFERENCE}",
            first["teacher_max_abs_logit_difference"] <= MAX_LOGIT_DIFFERENCE,
        )
    )
    write_results(
        f"recipe_{name}",
        environment=reports[0]["results"]["environment"],
        runs=rows,
        engine_accuracy=spread([row["engine_accuracy"] for row in rows]),
        retention=spread([row["retention"] for row in rows]),
        bars=bars,
    )


def row_of(report: dict[str, Any]) -> dict[str, Any]:
    artifacts = {one["artifact"]["name"]: one for one in report["results"]["artifacts"]}
    return {
        "name": report["recipe"]["name"],
        "seed": report["recipe"]["seed"],
        **report["summary"],
        "int8_agreement": artifacts["engine"]["to_previous"]["agreement"]["value"],
        "teacher_max_abs_logit_difference": artifacts["teacher-onnx"]["to_previous"][
            "max_abs_logit_difference"
        ],
        "stage_seconds": {stage["name"]: stage["seconds"] for stage in report["stages"]},
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


def spread(values: list[float]) -> dict[str, float]:
    return {
        "mean": statistics.mean(values),
        "lowest": min(values),
        "highest": max(values),
        "standard_deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def bar(name: str, value: float, target: str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": holds}


if __name__ == "__main__":
    main()

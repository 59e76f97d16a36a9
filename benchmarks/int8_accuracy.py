"""What INT8 costs in accuracy: every engine against the float model that it was made of.

    python benchmarks/int8_accuracy.py runs/quickstart runs/sentiment_base

Reads the reports that `pocketbert run` left; nothing is measured anew. A bar is about the measured
difference; the interval says how sure it is.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from report import environment, write_results

MAX_LOSS = 0.003


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders with a report.json")
    rows = [
        row_of(json.loads((run / "report.json").read_text())) for run in parser.parse_args().runs
    ]
    for row in rows:
        print(
            f"{row['recipe']:<20} {row['accuracy']:.4f}, minus float {row['difference']:+.4f} "
            f"({row['low']:+.4f} to {row['high']:+.4f}), same label {row['agreement']:.4f}"
        )
    bars = [
        {
            "name": f"{row['recipe']}: accuracy lost to INT8",
            "value": -row["difference"],
            "target": MAX_LOSS,
            "holds": -row["difference"] <= MAX_LOSS,
        }
        for row in rows
    ]
    write_results("int8_accuracy", environment=environment(), rows=rows, bars=bars)


def row_of(report: dict[str, Any]) -> dict[str, Any]:
    results = report["results"]
    engine = next(a for a in results["artifacts"] if a["artifact"]["name"] == results["engine"])
    step = engine["to_previous"]
    return {
        "recipe": report["recipe"]["name"],
        "engine": engine["engine"],
        "float": step["other"],
        "texts": results["split_sizes"]["test"],
        "accuracy": engine["accuracy"]["value"],
        "difference": step["difference"]["value"],
        "low": step["difference"]["low"],
        "high": step["difference"]["high"],
        "agreement": step["agreement"]["value"],
        "mcnemar_p": step["mcnemar_p"],
    }


if __name__ == "__main__":
    main()

"""The C++ runtime: what a call costs beyond ONNX Runtime, and what its tests and fuzzers found.

    pocketbert run quickstart
    python benchmarks/cpp.py runs/quickstart/bundle runs/stages/data-* --fuzz-seconds 300

Times test texts one by one: a call of the C++ engine (tokenizer, tensors, softmax) and, in turns
with it, a bare ONNX Runtime session with the same tokens and the tokenizer; the overhead is what is
left of the call without these two. Runs the tests of the C++ runtime before, those under sanitizers
and the fuzzers included, and records what they counted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
from report import environment, write_results

from pocketbert.compress.data import load_split

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/deploy/test_cpp.py",
    "tests/deploy/test_cpp_tokenizer.py",
    "tests/tasks/test_cpp.py",
    "tests/tasks/test_cpp_writing.py",
)
REPORT_COUNTS = ("-o", "junit_family=xunit1")  # the later form has no properties of a test
TIMED_TEXTS = 100
ROUNDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="folder of the data stage")
    parser.add_argument("--fuzz-seconds", type=int, default=300, help="for each fuzzer")
    arguments = parser.parse_args()
    cases = run_tests(arguments.fuzz_seconds)
    latency = time_calls(arguments.bundle, texts_of(arguments.data))
    overhead_us = float(np.median([row["overhead_us"] for row in latency]))
    compared = sum(case["texts_compared"] for case in cases.values() if "texts_compared" in case)
    fuzzed = {name: case for name, case in cases.items() if "inputs_fuzzed" in case}
    sanitized = {name: case for name, case in cases.items() if "sanitizer" in name}
    write_results(
        "cpp",
        environment=environment(),
        bars=[
            bar(
                "median overhead over tokenizer and session, microseconds",
                overhead_us,
                15,
                overhead_us <= 15,
            ),
            bar("texts with Hugging Face's tokens", compared, 20_000, compared >= 20_000),
            bar("tests under sanitizers passed", *passed(sanitized)),
            bar("fuzzers without a finding", *passed(fuzzed)),
            bar("tests passed", *passed(cases)),
        ],
        overhead_us=spread([row["overhead_us"] for row in latency]),
        tokenizer_us=spread([row["tokenizer_us"] for row in latency]),
        session_us=spread([row["session_us"] for row in latency]),
        tests=cases,
        latency=latency,
    )


def bar(name: str, value: float, target: float, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": holds}


def passed(cases: dict[str, dict[str, Any]]) -> tuple[int, int, bool]:
    """Value, target and verdict of a bar on the outcomes of tests."""
    count = sum(case["outcome"] == "passed" for case in cases.values())
    return count, len(cases), 0 < count == len(cases)


def spread(values: list[float]) -> dict[str, float]:
    quantiles = {"p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
    return {name: float(np.quantile(values, at)) for name, at in quantiles.items()}


def run_tests(fuzz_seconds: int) -> dict[str, dict[str, Any]]:
    """Outcome and counts of every test, by name."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *REPORT_COUNTS, f"--junitxml={report}", *TESTS],
            cwd=ROOT,
            env={**os.environ, "FUZZ_SECONDS": str(fuzz_seconds)},
        )
        cases = ElementTree.parse(report).iter("testcase")
        return {case.attrib["name"]: outcome(case) for case in cases}


def outcome(case: ElementTree.Element) -> dict[str, Any]:
    bad = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
    counts = {item.attrib["name"]: int(item.attrib["value"]) for item in case.iter("property")}
    return {"outcome": bad[0] if bad else "passed", "seconds": float(case.attrib["time"]), **counts}


def texts_of(data: Path) -> list[str]:
    """Test texts of one line each."""
    texts = load_split(data, "test").texts[:TIMED_TEXTS]
    return [" ".join(text.splitlines()) for text in texts]


def time_calls(bundle: Path, texts: list[str]) -> list[dict[str, float]]:
    """Medians for every text; the program was built by the tests."""
    program = ROOT / ".pytest_cache/d/cpp/build/tests/time_calls"
    lines = "".join(f"{text}\n" for text in texts)
    done = subprocess.run(
        [program, bundle, str(ROUNDS)], input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    main()

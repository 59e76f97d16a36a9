"""What a bundle costs on a device, what its runtimes add, and what is said of faults.

    pocketbert run quickstart
    python benchmarks/devices.py runs/quickstart/bundle runs/stages/data-*

Builds the wheel and installs it alone, in a clean environment for each Python that JetPack has;
all Python figures come from there (`device_probe.py`). The C++ ones come from the programs that
`benchmarks/cpp.py` builds. What other scripts measured is read from their results; where such a
file is absent, the summary says so.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from report import RESULTS, environment, write_results

from pocketbert.compress.data import load_split

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.deploy.device_environment import (  # noqa: E402  (tests are found beside this folder)
    JETPACK,
    Environment,
    build_wheel,
    find_python,
    make_environment,
)
from tests.deploy.faults import FAULTS, fill_disk, meet  # noqa: E402

PROBE = Path(__file__).with_name("device_probe.py")
CPP_BUILD = ROOT / ".pytest_cache/d/cpp/build"
OTHERS = ("cpp", "serving", "rtx", "arm64", "optimum_classes")
COLD_STARTS = 9
TIMED_TEXTS = 60
CPP_ROUNDS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="folder of the data stage")
    arguments = parser.parse_args()
    bundle = arguments.bundle.absolute()
    texts = [" ".join(t.split()) for t in load_split(arguments.data, "test").texts[:TIMED_TEXTS]]
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        (scratch / "texts").write_text("".join(f"{text}\n" for text in texts))
        pythons = measure_pythons(bundle, scratch)
        cpp = measure_cpp(bundle, texts)
        faults = meet_faults(bundle, scratch)
    others = {name: read_results(name) for name in OTHERS}
    write_results(
        "devices",
        environment=environment(),
        bars=[*python_bars(pythons), *cpp_bars(cpp), *fault_bars(faults), *others_bars(others)],
        bundle_bytes=sum(f.stat().st_size for f in bundle.rglob("*") if f.is_file()),
        pythons=pythons,
        cpp=cpp,
        faults=faults,
        others=others,
    )


def measure_pythons(bundle: Path, scratch: Path) -> dict[str, Any]:
    """By Python version; one that is not on this machine is said to be absent."""
    wheel = build_wheel(scratch)
    measured: dict[str, Any] = {}
    for version, jetpack in JETPACK.items():
        python = find_python(version)
        if python is None:
            measured[version] = "absent: no such Python on this machine"
            continue
        made = make_environment(python, scratch / version, wheel)
        measured[version] = {"jetpack": jetpack, **measure_python(made, bundle, scratch / "texts")}
    return measured


def measure_python(made: Environment, bundle: Path, texts: Path) -> dict[str, Any]:
    starts = [probe(made, bundle) for _ in range(COLD_STARTS)]
    called = probe(made, bundle, texts)
    rows = called.pop("texts")
    return {
        "packages": made.packages(),
        "package_bytes": made.package_bytes(),
        "cold_start": {name: statistics.median(s[name] for s in starts) for name in starts[0]},
        "cold_starts": starts,
        "calls": called | medians(rows),
        "selftest": json.loads(made.pocketbert("selftest", bundle, "--json").stdout),
        "texts": rows,
    }


def probe(made: Environment, *arguments: Path) -> dict[str, Any]:
    done = made.run("-I", PROBE, *arguments)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Over texts."""
    return {f"median_{name}": statistics.median(row[name] for row in rows) for name in rows[0]}


def measure_cpp(bundle: Path, texts: list[str]) -> dict[str, Any] | str:
    """Memory of `pocketbert-run`, and its calls beside the tokenizer and the bare session."""
    program = CPP_BUILD / "tests/time_calls"
    if not program.exists():
        return "absent: not built; run benchmarks/cpp.py or the tests of the C++ runtime"
    lines = "".join(f"{text}\n" for text in texts)
    done = subprocess.run(
        [program, bundle, str(CPP_ROUNDS)], input=lines, capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {"resident_bytes": cpp_resident_bytes(bundle), **medians(rows), "texts": rows}


def cpp_resident_bytes(bundle: Path) -> int:
    """Memory of the program between two answers."""
    with subprocess.Popen(
        [CPP_BUILD / "pocketbert-run", bundle],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("a moving film\n")
        process.stdin.flush()
        json.loads(process.stdout.readline())
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        process.stdin.close()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def meet_faults(bundle: Path, scratch: Path) -> dict[str, Any]:
    outcomes: dict[str, Any] = {}
    for name in FAULTS:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            outcomes[name] = asdict(meet(name, bundle, Path(folder)))
    try:
        outcomes["disk full while building"] = asdict(fill_disk(bundle, scratch / "disk"))
    except (PermissionError, FileNotFoundError) as error:
        outcomes["disk full while building"] = f"absent: no file system can be mounted ({error})"
    return outcomes


def read_results(name: str) -> dict[str, Any] | str:
    """What another script recorded: where it stands, when it was measured, and its bars."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return f"absent: no benchmarks/results/{path.name}"
    found = json.loads(path.read_text())
    return {
        "file": f"benchmarks/results/{path.name}",
        "command": found["command"],
        "measured_at": found["environment"]["measured_at"],
        "bars": found["bars"],
    }


def python_bars(pythons: dict[str, Any]) -> list[dict[str, Any]]:
    bars = []
    for version, found in pythons.items():
        if isinstance(found, str):
            bars.append(bar(f"Python {version}", found, "measured", holds=False))
            continue
        heavy = sorted({"torch", "transformers", "onnx"} & found["packages"].keys())
        open_ms = found["cold_start"]["open_to_first_answer_ms"]
        overhead_us = found["calls"]["median_overhead_processor_us"]
        passed = found["selftest"]["passed"]
        bars += [
            bar(f"Python {version}: torch, transformers, onnx", heavy, [], not heavy),
            bar(f"Python {version}: open to first answer, ms", open_ms, 1000, open_ms < 1000),
            bar(
                f"Python {version}: overhead of a call over tokenizer and session, processor "
                "microseconds",
                overhead_us,
                60,
                overhead_us <= 60,
            ),
            bar(f"Python {version}: self-test passed", passed, True, passed),
        ]
    return bars


def cpp_bars(cpp: dict[str, Any] | str) -> list[dict[str, Any]]:
    name = "C++: overhead of a call over tokenizer and session, microseconds"
    if isinstance(cpp, str):
        return [bar(name, cpp, 15, holds=False)]
    overhead_us = cpp["median_overhead_us"]
    return [bar(name, overhead_us, 15, overhead_us <= 15)]


def fault_bars(faults: dict[str, Any]) -> list[dict[str, Any]]:
    met = [one for one in faults.values() if isinstance(one, dict)]
    clean = [one for one in met if one["said"] and not one["left_behind"] and one["whole"]]
    all_clean = len(clean) == len(faults)
    name = "faults said in a sentence, nothing left behind"
    return [bar(name, len(clean), len(faults), all_clean)]


def others_bars(others: dict[str, Any]) -> list[dict[str, Any]]:
    """One bar a file: how many of its own hold."""
    bars = []
    for name, found in others.items():
        if isinstance(found, str):
            bars.append(bar(name, found, "measured", holds=False))
            continue
        held = sum(one["holds"] for one in found["bars"])
        bars.append(bar(f"{name}: bars held", held, len(found["bars"]), held == len(found["bars"])))
    return bars


def bar(name: str, value: object, target: object, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": holds}


if __name__ == "__main__":
    main()

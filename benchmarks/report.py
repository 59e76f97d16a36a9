"""What every benchmark writes: environment, command, raw figures, bars."""

import json
import shlex
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pocketbert.eval.environment import describe_environment

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    return asdict(describe_environment())


def command(arguments: list[str]) -> str:
    """The command that ran, its paths without what only this machine has."""
    script, *words = arguments
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *map(without_machine, words)])


def without_machine(word: str) -> str:
    """An absolute path from its checkout on, or its name alone if it is in none."""
    option, equals, value = word.rpartition("=")
    path = Path(value)
    if not path.is_absolute():
        return word
    checkout = next(
        (above for above in (path, *path.parents) if (above / ".git").exists()), path.parent
    )
    return f"{option}{equals}{path.relative_to(checkout)}"


def write_results(name: str, **content: Any) -> None:
    """Write `results/<name>.json`; a bar that is missed stays `false`."""
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"command": command(sys.argv), **content}, indent=2) + "\n")
    temporary.replace(path)
    for bar in content["bars"]:
        verdict = "holds" if bar["holds"] else "MISSED"
        print(f"{verdict}: {bar['name']}: {bar['value']} (target {bar['target']})")


def spread(values: list[float]) -> dict[str, float]:
    """Mean and range of one figure over seeds."""
    return {
        "mean": statistics.mean(values),
        "lowest": min(values),
        "highest": max(values),
        "standard_deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
    }

"""What every benchmark writes: environment, command, raw figures, bars."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pocketbert.eval.environment import describe_environment

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    return asdict(describe_environment())


def write_results(name: str, **content: Any) -> None:
    """Write `results/<name>.json`; a bar that is missed stays `false`."""
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(".tmp")
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    temporary.write_text(json.dumps({"command": command, **content}, indent=2) + "\n")
    temporary.replace(path)
    for bar in content["bars"]:
        verdict = "holds" if bar["holds"] else "MISSED"
        print(f"{verdict}: {bar['name']}: {bar['value']} (target {bar['target']})")

"""Two small real stages for tests in other processes: they count, and can be killed."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pocketbert.compress.errors import UserError
from pocketbert.recipes.cache import Stage, StageCache

COUNT = Stage("counting_stage:count")
DOUBLE = Stage("counting_stage:double")


def count(*, out: Path, to: int, seed: int) -> dict[str, Any]:
    """Append numbers to a checkpoint; killed at `KILL_AT`, it goes on where it was."""
    checkpoint = out / "checkpoint.json"
    numbers = json.loads(checkpoint.read_text()) if checkpoint.exists() else [seed]
    while len(numbers) < to:
        numbers.append(numbers[-1] * 31 % 1009)
        temporary = checkpoint.with_suffix(".tmp")
        temporary.write_text(json.dumps(numbers))
        temporary.replace(checkpoint)
        time.sleep(float(os.environ.get("STEP_S", "0")))
        if str(len(numbers)) == os.environ.get("KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
    with Path(os.environ["WORK_LOG"]).open("a") as log:
        log.write(f"count {os.getpid()}\n")
    checkpoint.unlink()
    (out / "numbers.json").write_text(json.dumps(numbers))
    return {"last": numbers[-1]}


def double(*, out: Path, numbers: Path) -> dict[str, Any]:
    """Read an earlier stage's file."""
    doubled = [2 * number for number in json.loads((numbers / "numbers.json").read_text())]
    (out / "doubled.json").write_text(json.dumps(doubled))
    return {"sum": sum(doubled)}


def main() -> None:
    cache = StageCache(Path(sys.argv[1]))
    counted = cache.step("count", COUNT, {"to": 20, "seed": 7})
    doubled = cache.step("double", DOUBLE, {"numbers": counted.folder})
    try:
        for step in (counted, doubled):
            result = cache.run(step)
            sys.stdout.write(f"{step.name} {result.cached} {json.dumps(result.summary)}\n")
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""One engine in a process of its own, timed on command: `python -m pocketbert.eval.worker`.

Reads one JSON object a line from stdin and answers each with one JSON line on stdout:

* `{"artifact", "labels", "max_length", "kind", "truncation", "threads", "cpus", "texts"}`, the
  first line: opens the engine and answers the first text -> `{"engine", "open_ms", "cpus"}`
* `{"command": "warm_up"}` -> `{"passes"}`
* `{"command": "round"}` -> `{"ms": [...]}`, one latency a text
* `{"command": "load", ...}`, the rest as in `loadgen.Request` -> what LoadGen logged
* `{"command": "memory"}` -> `{"resident_bytes", "peak_bytes"}`

The end of stdin ends it. What libraries print goes to stderr.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketbert.compress.config import Truncation

from .artifacts import Artifact, open_artifact

WARM_UP_TEXTS = 10
MAX_WARM_UP_PASSES = 20
STEADY = 0.05

Engine = Callable[[list[str]], object]


def main() -> None:
    """Serve commands until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    setup = json.loads(sys.stdin.readline())
    texts = setup["texts"]
    cpus = _pin(setup["cpus"])
    started_ns = time.perf_counter_ns()
    engine = open_artifact(
        Artifact(**setup["artifact"]),
        tuple(setup["labels"]),
        setup["max_length"],
        setup["threads"],
        setup["kind"],
        Truncation(**setup["truncation"]),
    )
    open_ms = (time.perf_counter_ns() - started_ns) / 1e6
    engine(texts[:1])
    _answer(answers, {"engine": engine.describe(), "open_ms": open_ms, "cpus": cpus})

    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "warm_up": lambda: {"passes": warm_up(engine, texts[:WARM_UP_TEXTS])},
        "round": lambda: {"ms": time_texts(engine, texts)},
        "load": lambda **request: _load(engine, texts, request),
        "memory": memory,
    }
    for line in sys.stdin:
        message = json.loads(line)
        _answer(answers, commands[message.pop("command")](**message))


def warm_up(engine: Engine, texts: list[str]) -> int:
    """Answer `texts` again and again until twice in a row a pass takes as long as the one before.

    Returns:
        Passes made.
    """
    previous_ms, steady = 0.0, 0
    for done in range(1, MAX_WARM_UP_PASSES + 1):
        median_ms = statistics.median(time_texts(engine, texts))
        steady = steady + 1 if abs(median_ms - previous_ms) <= STEADY * median_ms else 0
        previous_ms = median_ms
        if steady == 2:
            return done
    return MAX_WARM_UP_PASSES


def time_texts(engine: Engine, texts: list[str]) -> list[float]:
    """Milliseconds from text in to answer out, one text at a time."""
    latencies_ms = []
    for text in texts:
        started_ns = time.perf_counter_ns()
        engine([text])
        latencies_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    return latencies_ms


def _load(engine: Engine, texts: list[str], request: dict[str, Any]) -> dict[str, Any]:
    from .loadgen import Request, drive  # only here: it may not be installed

    return drive(engine, texts, Request(**request))


def memory() -> dict[str, int]:
    """Resident memory of this process, now and at its peak, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would start at the peak of the process that started this one.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        kib = {name: int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM")}
        return {"resident_bytes": kib["VmRSS"] * 1024, "peak_bytes": kib["VmHWM"] * 1024}
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"resident_bytes": peak_bytes, "peak_bytes": peak_bytes}


def _pin(cpus: list[int]) -> list[int]:
    """Keep this process, before it starts any thread, on `cpus`; returns [] if it cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    os.sched_setaffinity(0, cpus)
    return cpus


def _answer(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()

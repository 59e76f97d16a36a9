"""One engine in a process of its own: `python -m engine_peers.worker` in a peer's environment.

Reads one JSON object a line from stdin and answers each with one JSON line on stdout:

* `{"module", "engine", "folder", "source", "threads", "cpus"}`, the first line -> `{"open_ms"}`
* `{"command": "answer", "requests"}` -> `{"logits"}` of all requests, one after the other
* `{"command": "prepare", "requests", "fixed"}` -> `{"ms"}`, median run when warm; `fixed` says that
  all have one shape, for which an engine may compile itself
* `{"command": "turn", "requests", "warm", "runs"}` -> `{"ms"}`: untimed runs, then timed ones

`requests` is a JSON file: a list of model inputs, token ids already. A run answers all of them.
The end of stdin ends it. What libraries print goes to stderr.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Inputs = dict[str, np.ndarray]
Engine = Callable[[Inputs], np.ndarray]

WARM_UP_S = 0.5
SETTLE_S = 0.01  # threads of the engine before this one spin a while before they sleep
MAX_WARM_UP_RUNS = 50


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    setup = json.loads(sys.stdin.readline())
    if hasattr(os, "sched_setaffinity"):  # before any library starts a thread
        os.sched_setaffinity(0, setup["cpus"])
    started = time.perf_counter()
    peer = import_module(f"engine_peers.{setup['module']}")
    engine = peer.open_engine(
        setup["engine"], Path(setup["folder"]), setup["source"], setup["threads"]
    )
    answer = {"open_ms": (time.perf_counter() - started) * 1000}
    print(json.dumps(answer), file=answers)

    commands: dict[str, Callable[..., Any]] = {
        "answer": answer_all,
        "prepare": prepare,
        "turn": turn,
    }
    for line in sys.stdin:
        message = json.loads(line)
        command = commands[message.pop("command")]
        requests = read_requests(message.pop("requests"))
        print(json.dumps(command(engine, requests, **message)), file=answers)


@lru_cache
def read_requests(path: str) -> list[Inputs]:
    found = json.loads(Path(path).read_text())
    return [{name: np.array(ids, dtype=np.int64) for name, ids in one.items()} for one in found]


def answer_all(engine: Engine, requests: list[Inputs]) -> dict[str, Any]:
    fix_shape(engine, None)
    return {"logits": np.concatenate([engine(inputs) for inputs in requests]).tolist()}


def prepare(engine: Engine, requests: list[Inputs], fixed: bool) -> dict[str, Any]:
    fix_shape(engine, requests[0]["input_ids"].shape if fixed else None)
    run_ms(engine, requests)  # compiles, where an engine does so at the first run
    started = time.perf_counter()
    times_ms = [run_ms(engine, requests)]
    while len(times_ms) < MAX_WARM_UP_RUNS and time.perf_counter() - started < WARM_UP_S:
        times_ms.append(run_ms(engine, requests))
    return {"ms": statistics.median(times_ms)}


def turn(engine: Engine, requests: list[Inputs], warm: int, runs: int) -> dict[str, Any]:
    time.sleep(SETTLE_S)
    for _ in range(warm):
        run_ms(engine, requests)
    return {"ms": [run_ms(engine, requests) for _ in range(runs)]}


def run_ms(engine: Engine, requests: list[Inputs]) -> float:
    """Milliseconds from token ids in to logits out, mean of the requests."""
    started_ns = time.perf_counter_ns()
    for inputs in requests:
        engine(inputs)
    return (time.perf_counter_ns() - started_ns) / 1e6 / len(requests)


def fix_shape(engine: Engine, shape: tuple[int, ...] | None) -> None:
    """Only an engine that compiles for shapes has this."""
    if hasattr(engine, "fix_shape"):
        engine.fix_shape(shape)


if __name__ == "__main__":
    main()

"""Runs on a device's own Python: what opening a bundle and calling it cost there.

    python device_probe.py BUNDLE            the cold start of this process, and its memory
    python device_probe.py BUNDLE TEXTS      every call beside its tokenizer and its bare session

Needs pocketbert's base install alone. Prints one JSON object. The overhead of a call is what is
left of it without the time of a bare tokenizer and a bare session, round by round. Processor time
is that of the calling thread, which does all the work of a session of one thread; other processes
fall out of it.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED_NS = time.perf_counter_ns()
ROUNDS = 60
WARM_UP = 10


def main() -> None:
    bundle, *texts = map(Path, sys.argv[1:])
    found = calls(bundle, texts[0].read_text().splitlines()) if texts else cold_start(bundle)
    print(json.dumps(found))


def cold_start(bundle: Path) -> dict[str, float]:
    from pocketbert.deploy.engine import Engine

    imported_ns = time.perf_counter_ns()
    engine = Engine.open(bundle)
    opened_ns = time.perf_counter_ns()
    engine(["a moving film"])
    answered_ns = time.perf_counter_ns()
    return {
        "import_ms": (imported_ns - STARTED_NS) / 1e6,
        "open_ms": (opened_ns - imported_ns) / 1e6,
        "open_to_first_answer_ms": (answered_ns - imported_ns) / 1e6,
        "start_to_first_answer_ms": (answered_ns - STARTED_NS) / 1e6,
        "processor_ms": time.process_time_ns() / 1e6,
        "resident_bytes": resident_bytes(),
    }


def calls(bundle: Path, texts: list[str]) -> dict[str, Any]:
    """Medians over rounds for every text; an engine of the first target for onnxruntime."""
    import onnxruntime
    import tokenizers

    from pocketbert.deploy.bundle import read_bundle
    from pocketbert.deploy.engine import Engine

    targets = read_bundle(bundle).manifest.targets
    target = next(target for target in targets if target.runtime == "onnxruntime")
    engine: Any = Engine.open(bundle, target.name)
    tokenizer = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(read_bundle(bundle).manifest.max_length)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(bundle / target.path),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(target.disabled_optimizers),
    )
    rows = [time_text(text, engine, tokenizer, session) for text in texts]
    return {"engine": engine.describe(), "resident_bytes": resident_bytes(), "texts": rows}


def time_text(text: str, engine: Any, tokenizer: Any, session: Any) -> dict[str, float]:
    import numpy as np

    encoding = tokenizer.encode(text)
    arrays = {
        "input_ids": np.array([encoding.ids], dtype=np.int64),
        "attention_mask": np.array([encoding.attention_mask], dtype=np.int64),
        "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
    }
    feeds = {node.name: arrays[node.name] for node in session.get_inputs()}
    calls: dict[str, Callable[[], object]] = {
        "engine": lambda: engine([text]),
        "session": lambda: session.run(None, feeds),
        "tokenizer": lambda: tokenizer.encode(text),
    }
    rounds = [timed(calls) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    row: dict[str, float] = {"tokens": len(encoding.ids)}
    for clock, unit in enumerate(("us", "processor_us")):
        for name in rounds[0]:
            row[f"{name}_{unit}"] = statistics.median(taken[name][clock] for taken in rounds)
    return row


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """One round: the engine beside a bare tokenizer and session, and what is left of its call."""
    taken = {}
    # Each program runs once before: so the caches hold what they hold where it is alone.
    for program in (("engine",), ("tokenizer", "session")):
        for name in program:
            calls[name]()
        for name in program:
            taken[name] = one(calls[name])
    wall, processor = (
        taken["engine"][clock] - taken["session"][clock] - taken["tokenizer"][clock]
        for clock in (0, 1)
    )
    return taken | {"overhead": (wall, processor)}


def one(call: Callable[[], object]) -> tuple[float, float]:
    """Microseconds on the wall and of this thread's processor."""
    wall_ns, processor_ns = time.perf_counter_ns(), time.thread_time_ns()
    call()
    processor_ns = time.thread_time_ns() - processor_ns
    return (time.perf_counter_ns() - wall_ns) / 1e3, processor_ns / 1e3


def resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()

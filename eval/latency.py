"""Latency at batch 1 of several engines, measured side by side.

Each engine lives in its own process, pinned to as many processors as it has threads. In every
round each answers all the texts while the others wait; the order rotates. What disturbs the
machine for a while so falls on all of them, and a ratio is taken within a round.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.config import HEAD, Truncation
from pocketbert.compress.errors import UserError
from pocketbert.compress.progress import progress
from pocketbert.compress.texts import Text

from .artifacts import Artifact
from .config import EvaluateConfig
from .environment import usable_cpus

logger = logging.getLogger(__name__)

SEED = 0
Watch = Callable[[str], AbstractContextManager[None]]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one process measured.

    Attributes:
        latencies_ms: Text in to answer out, shape (rounds, texts).
        cold_start_ms: Start of the process to its first answer; files may be in the page cache.
        open_ms: The part of it that opens the engine.
        warm_up_passes: Passes until it was steady.
        resident_bytes: Memory at the end.
        peak_bytes: Most memory ever, opening included.
        cpus: Processors it was pinned to; empty where that cannot be done.
        engine: What the engine says it is.
    """

    latencies_ms: NDArray[np.float64]
    cold_start_ms: float
    open_ms: float
    warm_up_passes: int
    resident_bytes: int
    peak_bytes: int
    cpus: tuple[int, ...]
    engine: str


def measure_latency(
    artifacts: Sequence[Artifact],
    texts: Sequence[Text],
    labels: tuple[str, ...],
    max_length: int,
    config: EvaluateConfig,
    logs: Path,
    kind: str = "text-classification",
    truncation: Truncation = HEAD,
    watch: Watch = lambda name: nullcontext(),
) -> dict[str, Measurement]:
    """Time all artifacts on the same texts, interleaved.

    Args:
        artifacts: What is timed.
        texts: Answered one at a time, at their real lengths.
        labels: Label names.
        max_length: Longest input in tokens.
        config: Rounds and threads.
        logs: Folder for what each process writes to stderr.
        kind: The kind of task.
        truncation: What is read of a longer text.
        watch: Called with an artifact's name, stands around each of its rounds.

    Returns:
        One measurement an artifact, by its name.

    Raises:
        UserError: If a process dies; the message names its artifact and its last words.
    """
    setup = worker_setup(texts, labels, max_length, config.threads, kind, truncation)
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(start_worker(artifact, setup, logs / f"{artifact.name}.log"))
            for artifact in artifacts
        ]
        for worker in workers:
            worker.passes = worker.ask({"command": "warm_up"})["passes"]
        rounds = _rounds(workers, config.latency_rounds, len(texts), watch)
        return {worker.artifact.name: worker.finish(rounds) for worker in workers}


def worker_setup(
    texts: Sequence[Text],
    labels: tuple[str, ...],
    max_length: int,
    threads: int,
    kind: str,
    truncation: Truncation,
) -> dict[str, Any]:
    """What a worker is told first, but for its artifact."""
    return {
        "labels": labels,
        "max_length": max_length,
        "kind": kind,
        "truncation": asdict(truncation),
        "threads": threads,
        "cpus": usable_cpus()[-threads:],
        "texts": list(texts),
    }


def choose_texts(texts: Sequence[Text], count: int) -> list[Text]:
    """Draw at most `count` of the texts, the same ones every time."""
    chosen = np.random.default_rng(SEED).permutation(len(texts))[:count]
    return [texts[row] for row in chosen]


def _rounds(
    workers: list["Worker"], n_rounds: int, n_texts: int, watch: Watch
) -> dict[str, list[list[float]]]:
    """Latencies by artifact, round and text."""
    latencies_ms: dict[str, list[list[float]]] = {worker.artifact.name: [] for worker in workers}
    with progress("Latency", total=n_rounds * len(workers) * n_texts, unit="text") as bar:
        for number in range(n_rounds):
            shift = number % len(workers)
            for worker in workers[shift:] + workers[:shift]:
                with watch(worker.artifact.name):
                    answer = worker.ask({"command": "round"})
                latencies_ms[worker.artifact.name].append(answer["ms"])
                bar.advance(n_texts)
    return latencies_ms


class Worker:
    """The parent's end of one worker process."""

    def __init__(self, artifact: Artifact, process: "subprocess.Popen[str]", log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.artifact, self.process, self.log = artifact, process, log
        self.stdin, self.stdout = process.stdin, process.stdout
        self.passes = 0
        self.cold_start_ms = 0.0
        self.hello: dict[str, Any] = {}

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message and wait for its answer."""
        try:
            self.stdin.write(json.dumps(message) + "\n")
            self.stdin.flush()
            line = self.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def finish(self, rounds: dict[str, list[list[float]]]) -> Measurement:
        """Put together what was measured."""
        return Measurement(
            latencies_ms=np.array(rounds[self.artifact.name]),
            cold_start_ms=self.cold_start_ms,
            open_ms=self.hello["open_ms"],
            warm_up_passes=self.passes,
            cpus=tuple(self.hello["cpus"]),
            engine=self.hello["engine"],
            **self.ask({"command": "memory"}),
        )

    def _died(self) -> UserError:
        code = self.process.wait()
        said = self.log.read_text().strip()
        logger.error("%s:\n%s", self.artifact.name, said)
        return UserError(
            f"the process of {self.artifact.name} ({self.artifact.folder}) ended with code {code}, "
            f"expected answers; its last words: {said.splitlines()[-1] if said else 'none'}"
        )


@contextmanager
def start_worker(artifact: Artifact, setup: dict[str, Any], log: Path) -> Iterator[Worker]:
    """Run a worker until the block ends."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(setup["threads"]))
    started_s = time.perf_counter()
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "pocketbert.eval.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | threads | {"TOKENIZERS_PARALLELISM": "false"},
        )
    worker = Worker(artifact, process, log)
    try:
        worker.hello = worker.ask(setup | {"artifact": asdict(artifact)})
        worker.cold_start_ms = (time.perf_counter() - started_s) * 1000
        logger.info("%s: %s", artifact.name, worker.hello["engine"])
        yield worker
    finally:
        process.kill()
        # What a dead process did not read is still buffered.
        with suppress(BrokenPipeError):
            worker.stdin.close()
        worker.stdout.close()
        process.wait()

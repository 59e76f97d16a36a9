"""All engines of one model at one thread count, each in its own process, taking turns."""

import json
import os
import subprocess
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine_peers.contestants import BENCHMARKS, ONNX_INT8, REFERENCE, Contestant, last_words
from engine_peers.models import requests_of
from pocketbert.eval.environment import usable_cpus
from pocketbert.eval.latency import THREAD_VARIABLES

# Below this a turn has several runs, of which the first is not timed: it finds the caches cold.
SHORT_RUN_MS = 100
RUNS_A_TURN = 3
MIX_ROUNDS = 0.5  # of the rounds; one run of the mix is many texts


Answer = TypeVar("Answer")


class PeerDied(Exception):
    """An engine's process ended; the message holds its last words."""


class Worker:
    """The parent's end of one engine's process."""

    def __init__(self, contestant: Contestant, process: "subprocess.Popen[str]", log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.name, self.contestant, self.log = contestant.name, contestant, log
        self.stdin, self.stdout = process.stdin, process.stdout

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send one message and wait for its answer."""
        try:
            self.stdin.write(json.dumps(message) + "\n")
            self.stdin.flush()
            line = self.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerDied(last_words(self.log))
        answer: dict[str, Any] = json.loads(line)
        return answer


def compare_answers(
    contestants: list[Contestant], threads: int, random_weights: bool, texts: int, work: Path
) -> dict[str, Any]:
    """How near each engine's answers are to PyTorch's; needs no idle machine.

    Returns:
        `agreement`: by engine, with the FP32 logits of PyTorch; `failed`: by engine why it fell
        out.
    """
    failed: dict[str, str] = {}
    requests = requests_of(f"first{texts}", work / "texts")
    with ExitStack() as stack:
        workers = [stack.enter_context(started(one, work, threads)) for one in contestants]
        opened(workers, failed, threads)
        agreement = agreements(workers, failed, requests, random_weights)
    return {"agreement": agreement, "failed": failed}


def race(
    contestants: list[Contestant],
    threads: int,
    fell_out: dict[str, str],
    work: Path,
    options: Namespace,
) -> dict[str, Any]:
    """Measure all points.

    Args:
        contestants: Who takes part.
        threads: Of each engine.
        fell_out: By engine why it could not answer; these are not timed.
        work: Folder of the model.
        options: Points and rounds.

    Returns:
        `raw`: by point and engine the times in ms, one list a round; `open_ms`; `failed`: by engine
        why it fell out.
    """
    failed = dict(fell_out)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(started(one, work, threads))
            for one in contestants
            if one.name not in failed
        ]
        open_ms = opened(workers, failed, threads)
        raw: dict[str, Any] = {}
        for point in options.points:
            print(f"{work.name}, {threads} threads, {point}", flush=True)
            raw |= take_turns(workers, failed, point, work / "texts", options)
    return {"raw": raw, "open_ms": open_ms, "failed": failed}


def opened(workers: list[Worker], failed: dict[str, str], threads: int) -> dict[str, float]:
    """Open the engines one after the other; returns how long each took in ms."""
    cpus = usable_cpus()[-threads:]

    def open_one(worker: Worker) -> float:
        open_ms: float = worker.ask(**worker.contestant.setup, threads=threads, cpus=cpus)[
            "open_ms"
        ]
        return open_ms

    return each(workers, failed, open_one)


def each(
    workers: list[Worker], failed: dict[str, str], ask: Callable[[Worker], Answer]
) -> dict[str, Answer]:
    """Ask one after the other; who dies is asked no more."""
    answers = {}
    for worker in workers:
        if worker.name in failed:
            continue
        try:
            answers[worker.name] = ask(worker)
        except PeerDied as death:
            failed[worker.name] = str(death)
            print(f"{worker.name} fell out: {death}", flush=True)
    return answers


def agreements(
    workers: list[Worker], failed: dict[str, str], requests: Path, random_weights: bool
) -> dict[str, dict[str, float]]:
    """How near each engine's answers are to those of PyTorch in FP32.

    Real weights: the share of texts with the same label. Random weights have no labels to speak
    of, so there it is the cosine of all logits. Both with the relative error of the logits.
    """
    asked = str(requests.resolve())
    logits = each(
        workers, failed, lambda w: np.array(w.ask(command="answer", requests=asked)["logits"])
    )
    reference = logits[REFERENCE]
    return {
        name: {
            "value": cosine(found, reference)
            if random_weights
            else float((found.argmax(1) == reference.argmax(1)).mean()),
            "relative_error": float(np.linalg.norm(found - reference) / np.linalg.norm(reference)),
        }
        for name, found in logits.items()
    }


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float((left * right).sum() / np.linalg.norm(left) / np.linalg.norm(right))


def take_turns(
    workers: list[Worker], failed: dict[str, str], point: str, texts: Path, options: Namespace
) -> dict[str, dict[str, list[list[float]]]]:
    """Times of all engines at a point; on the mix those of optimum and Olive also as they pad.

    Every engine has its turn in every round, and who begins changes from round to round.
    """
    own = str(requests_of(point, texts).resolve())
    padded = str(requests_of("mix_padded", texts).resolve())
    fixed = point != "mix"
    warm_ms = each(
        workers, failed, lambda w: w.ask(command="prepare", requests=own, fixed=fixed)["ms"]
    )
    raw: dict[str, dict[str, list[list[float]]]] = {point: {name: [] for name in warm_ms}}
    if not fixed:
        raw["mix_padded"] = {name: [] for name in ONNX_INT8 if name in warm_ms}

    def take_turn(worker: Worker) -> None:
        short = fixed and warm_ms[worker.name] < SHORT_RUN_MS
        plan = {"warm": 1, "runs": RUNS_A_TURN} if short else {"warm": 0, "runs": 1}
        raw[point][worker.name].append(worker.ask(command="turn", requests=own, **plan)["ms"])
        if not fixed and worker.name in raw["mix_padded"]:
            answer = worker.ask(command="turn", requests=padded, **plan)
            raw["mix_padded"][worker.name].append(answer["ms"])

    rounds = options.rounds if fixed else max(2, round(options.rounds * MIX_ROUNDS))
    for number in range(rounds):
        shift = number % len(workers)
        each(workers[shift:] + workers[:shift], failed, take_turn)
    for times in raw.values():
        for name in failed.keys() & times.keys():
            del times[name]
    return raw


@contextmanager
def started(contestant: Contestant, work: Path, threads: int) -> Iterator[Worker]:
    """Run a worker until the block ends."""
    log = work / f"{contestant.name.replace('/', '-')}-{threads}.log"
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads))
    # What torch.compile made is found again by the next run.
    kept = {"TORCHINDUCTOR_CACHE_DIR": str((work / "inductor").resolve())}
    with log.open("w") as said:
        process = subprocess.Popen(
            [contestant.python, "-m", "engine_peers.worker"],
            cwd=BENCHMARKS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=os.environ | limits | kept,
        )
    worker = Worker(contestant, process, log)
    try:
        yield worker
    finally:
        process.kill()
        with suppress(BrokenPipeError):  # what a dead process did not read is still buffered
            worker.stdin.close()
        worker.stdout.close()
        process.wait()

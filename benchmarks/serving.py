"""`pocketbert serve` under load: throughput, latency, overload, and a stop amid requests.

    apt-get install nghttp2-client        # h2load, the load generator
    pocketbert run quickstart
    python benchmarks/serving.py runs/quickstart/bundle

One text of median length a request, over HTTP/1.1 connections that stay open, from the same
machine: generator and server share its processors. A connection sends its next request when the
last is answered, so a rate is held only while fewer requests wait than there are connections; the
rate that came about is beside the one that was asked for.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from report import environment, write_results

CLIENTS = 32
RATES = (0.25, 0.5, 0.75, 0.9)  # of what was answered at saturation
MAX_WAITING = 256
OVERLOAD_CLIENTS = 2 * MAX_WAITING  # enough to fill the queue and to be refused
OVERLOAD = 3  # of saturation; connections that wait for an answer send nothing
BATCHES = ((1, 0.0), (8, 0.0), (8, 2.0), (32, 0.0))  # --max-batch, --max-wait-ms
MAX_GROWTH = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    arguments = parser.parse_args()
    if not shutil.which("h2load"):
        raise SystemExit("h2load is not installed; apt-get install nghttp2-client")
    with tempfile.TemporaryDirectory() as scratch:
        body = Path(scratch) / "body.json"
        text = median_text(arguments.bundle)
        body.write_text(json.dumps(request_for(text)))
        with serving(arguments.bundle) as server:
            load = Load(server, body, arguments.seconds)
            load.run(CLIENTS, seconds=5)  # warm
            saturated = load.run(CLIENTS)
            rates = [load.run(CLIENTS, share * saturated["answered_per_s"]) for share in RATES]
            overload = load.run(OVERLOAD_CLIENTS, OVERLOAD * saturated["answered_per_s"], 2)
        batches = [
            compare_batches(arguments.bundle, body, arguments.seconds, *row) for row in BATCHES
        ]
        stopped = stop_under_load(arguments.bundle, body)
    runs = [saturated, *rates, overload]
    show(runs, batches, stopped)
    write_results(
        "serving",
        environment=environment(),
        bars=bars(runs, overload, stopped),
        text=text,
        saturated=saturated,
        rates=rates,
        overload=overload,
        batches=batches,
        stopped=stopped,
    )


class Server:
    """A running `pocketbert serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.usage = psutil.Process(process.pid)
        while not (found := re.search(r"^http://.*$", log.read_text(), re.MULTILINE)):
            if process.poll() is not None:
                raise SystemExit(f"the server ended: {log.read_text()}")
            time.sleep(0.05)
        self.url = f"{found[0]}/v2/models/bench/infer"

    def cpu_s(self) -> float:
        """Processor time so far; what others do on the machine moves it little."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(bundle: Path, *options: str) -> Iterator[Server]:
    program = "from pocketbert.recipes.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", str(bundle), "--name", "bench"]
    command += ["--port", "0", "--max-waiting", str(MAX_WAITING), *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
            try:
                yield Server(process, log)
            finally:
                process.kill()


class Load:
    """h2load against a server.

    Args:
        server: That is asked.
        body: File with the request.
        seconds: Of a run, if the run does not say.
    """

    def __init__(self, server: Server, body: Path, seconds: int) -> None:
        self.server = server
        self.body = body
        self.seconds = seconds

    def start(self, clients: int, seconds: int, *options: str) -> subprocess.Popen[bytes]:
        """Begin to ask; every request goes into a log."""
        log = self.body.with_name("requests.tsv")
        log.unlink(missing_ok=True)
        command = ["h2load", "--h1", "-t1", f"-c{clients}", f"-D{seconds}", f"-d{self.body}"]
        command += [f"--log-file={log}", *options, self.server.url]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def requests(self) -> list[tuple[int, float]]:
        """Status and milliseconds of every request of the last run."""
        lines = self.body.with_name("requests.tsv").read_text().splitlines()
        rows = (line.split("\t") for line in lines)
        return [(int(status), int(microseconds) / 1000) for _, status, microseconds in rows]

    def run(
        self, clients: int, per_s: float | None = None, times: int = 1, seconds: int | None = None
    ) -> dict[str, Any]:
        """Ask for some time, without a pause or at a rate; watch the server's memory."""
        seconds = seconds or times * self.seconds
        rate = [f"--rps={per_s / clients:.3f}"] if per_s else []
        memory = [self.server.usage.memory_info().rss]
        cpu_s = self.server.cpu_s()
        generator = self.start(clients, seconds, *rate)
        while generator.poll() is None:
            time.sleep(0.25)
            memory.append(self.server.usage.memory_info().rss)
        cpu_s = self.server.cpu_s() - cpu_s
        requests = self.requests()
        answered = [took_ms for status, took_ms in requests if status == 200]
        return {
            "clients": clients,
            "asked_per_s": per_s and round(per_s, 1),
            "sent_per_s": round(len(requests) / seconds, 1),
            "answered_per_s": round(len(answered) / seconds, 1),
            "statuses": count(status for status, _ in requests),
            "p50_ms": quantile(answered, 0.5),
            "p99_ms": quantile(answered, 0.99),
            "refused_p99_ms": quantile([ms for status, ms in requests if status == 429], 0.99),
            "cpu_ms_per_request": round(1000 * cpu_s / len(requests), 3),
            "memory_before_bytes": memory[0],
            "memory_at_half_time_bytes": memory[len(memory) // 2],
            "memory_peak_bytes": max(memory),
            "memory_after_bytes": memory[-1],
        }


def compare_batches(
    bundle: Path, body: Path, seconds: int, max_batch: int, max_wait_ms: float
) -> dict[str, Any]:
    """What gathering buys at saturation, and what it costs one who is alone."""
    options = ("--max-batch", str(max_batch), "--max-wait-ms", str(max_wait_ms))
    with serving(bundle, *options) as server:
        load = Load(server, body, seconds)
        load.run(CLIENTS, seconds=3)
        saturated, alone = load.run(CLIENTS), load.run(1)
    return {
        "max_batch": max_batch,
        "max_wait_ms": max_wait_ms,
        "saturated_per_s": saturated["answered_per_s"],
        "saturated_p99_ms": saturated["p99_ms"],
        "saturated_cpu_ms_per_request": saturated["cpu_ms_per_request"],
        "alone_p50_ms": alone["p50_ms"],
        "alone_cpu_ms_per_request": alone["cpu_ms_per_request"],
    }


def stop_under_load(bundle: Path, body: Path) -> dict[str, Any]:
    """SIGTERM amid requests: what the server says it accepted against what the clients got."""
    with serving(bundle) as server:
        load = Load(server, body, 0)
        generator = load.start(2 * CLIENTS, 8)
        time.sleep(4)
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        exit_code = server.process.wait(60)
        stop_s = time.monotonic() - started
        generator.wait(60)
        said = re.search(r"(\d+) requests were accepted", server.log.read_text())
    statuses = count(status for status, _ in load.requests())
    accepted = int(said[1]) if said else -1
    return {
        "accepted": accepted,
        "answered": statuses.get("200", 0),
        "lost": accepted - statuses.get("200", 0),
        "statuses": statuses,  # -1: sent to connections that were closed, or not at all
        "exit_code": exit_code,
        "stop_s": round(stop_s, 2),
    }


def bars(
    runs: list[dict[str, Any]], overload: dict[str, Any], stopped: dict[str, Any]
) -> list[dict[str, Any]]:
    others = sum(
        number
        for run in runs
        for status, number in run["statuses"].items()
        if status not in ("200", "429")
    )
    growth = overload["memory_peak_bytes"] / overload["memory_before_bytes"] - 1
    refused = overload["statuses"].get("429", 0)
    sent = overload["sent_per_s"] / runs[0]["answered_per_s"]
    lost, code = stopped["lost"], stopped["exit_code"]
    return [
        bar("accepted requests lost at SIGTERM under load", lost, 0, lost == 0),
        bar("exit code after SIGTERM", code, 0, code == 0),
        bar("memory growth in overload", round(growth, 4), f"< {MAX_GROWTH}", growth < MAX_GROWTH),
        bar("responses that are neither 200 nor 429", others, 0, others == 0),
        bar("requests refused in overload", refused, "> 0", refused > 0),
        bar("sent in overload over saturation", round(sent, 2), ">= 1.9", sent >= 1.9),
    ]


def bar(name: str, value: float, target: float | str, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": bool(holds)}


def show(
    runs: list[dict[str, Any]], batches: list[dict[str, Any]], stopped: dict[str, Any]
) -> None:
    print(f"{'sent/s':>8} {'200/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'MB peak':>8}  statuses")
    for run in runs:
        print(
            f"{run['sent_per_s']:>8} {run['answered_per_s']:>8} {run['p50_ms']:>8} "
            f"{run['p99_ms']:>8} {run['memory_peak_bytes'] / 1e6:>8.1f}  {run['statuses']}"
        )
    for row in batches:
        print(row)
    print(f"SIGTERM: {stopped}")


def median_text(bundle: Path) -> str:
    """The golden text of median length."""
    texts: list[str] = json.loads((bundle / "golden.json").read_text())["texts"]
    return sorted(texts, key=len)[len(texts) // 2]


def request_for(text: str) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    return {"inputs": [tensor]}


def count(statuses: Iterator[int]) -> dict[str, int]:
    return {str(status): number for status, number in sorted(Counter(statuses).items())}


def quantile(values: list[float], at: float) -> float | None:
    return round(float(np.quantile(values, at)), 2) if values else None


if __name__ == "__main__":
    main()

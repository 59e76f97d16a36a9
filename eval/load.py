"""Load on an artifact: MLPerf's scenarios, each in a process of its own."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pocketbert.compress.config import HEAD, ColumnsConfig, Truncation
from pocketbert.compress.errors import DataError
from pocketbert.compress.tables import read_table
from pocketbert.compress.texts import Text

from .artifacts import Artifact
from .config import ScenariosConfig
from .environment import describe_environment
from .latency import Worker, choose_texts, start_worker, worker_setup
from .open_any import artifact_at
from .results import LoadResult

# Tried one after the other, as fractions of what the engine answers without a pause.
SERVER_RATES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
MOST_TEXTS = 1000
LATENCIES_FILE = "latencies_ms.npy"


def measure_load(
    artifact: Artifact,
    texts: Sequence[Text],
    labels: tuple[str, ...],
    max_length: int,
    scenarios: ScenariosConfig,
    threads: int,
    out: Path,
    kind: str = "text-classification",
    truncation: Truncation = HEAD,
) -> tuple[LoadResult, ...]:
    """Drive an artifact with MLPerf LoadGen.

    Args:
        artifact: What answers.
        texts: What it is asked, at their real lengths.
        labels: Label names.
        max_length: Longest input in tokens.
        scenarios: Which, and on what terms.
        threads: Threads of one inference.
        out: Folder for LoadGen's logs and the latencies of every query, one folder a scenario.
        kind: The kind of task.
        truncation: What is cut of texts that are too long.

    Raises:
        UserError: If a process dies; the message names its artifact and its last words.
    """
    setup = worker_setup(texts, labels, max_length, threads, kind, truncation)
    found = []
    for name, config in scenarios.wanted.items():
        folder = out / f"{artifact.name}-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with start_worker(artifact, setup, folder / "process.log") as worker:
            steady = worker.ask({"command": "warm_up"})
            request = {
                "command": "load",
                "scenario": name,
                "folder": str(folder),
                # Of all texts once, because the warm-up saw a few only.
                "expected_ms": float(np.mean(worker.ask({"command": "round"})["ms"])),
                **asdict(config),
            }
            log = _server(worker, request) if name == "server" else worker.ask(request)
            memory = worker.ask({"command": "memory"})
        found.append(_result(name, folder, request, log, steady["passes"], memory))
    return tuple(found)


def load_on_table(
    path: Path,
    table: Path,
    text_column: str | int,
    scenarios: ScenariosConfig,
    *,
    labels: tuple[str, ...] | None,
    max_length: int | None,
    target: str | None,
    threads: int,
    out: Path,
) -> tuple[LoadResult, ...]:
    """Drive whatever lies at a path with the texts of a table.

    Args:
        path: A bundle, a model folder, a checkpoint, or an ONNX model with its tokenizer.
        table: CSV, TSV, JSONL or Parquet file.
        text_column: Where its texts stand.
        scenarios: Which, and on what terms.
        labels: Label names, for a model that does not carry its own.
        max_length: Longest input in tokens, for a model that does not carry its own.
        target: Of a bundle, the target that is driven.
        threads: Threads of one inference.
        out: Folder for LoadGen's logs and the latencies; also the environment.

    Raises:
        UserError: Nothing that can be measured lies at the path.
        DataError: If the table cannot be used.
    """
    # No label is needed, so that the text's own column serves as one.
    columns = ColumnsConfig(text=text_column, label=text_column)
    texts = choose_texts([row.text for row in read_table(table, columns)], MOST_TEXTS)
    if not texts:
        raise DataError(f"{table} has no rows, expected texts; give another file")
    with tempfile.TemporaryDirectory() as scratch:
        artifact, names, longest = artifact_at(
            path, Path(scratch) / "model", labels=labels, max_length=max_length, target=target
        )
        results = measure_load(artifact, texts, names, longest, scenarios, threads, out)
    environment = json.dumps(asdict(describe_environment()), indent=2)
    (out / "environment.json").write_text(environment + "\n")
    return results


def _server(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """The highest of a few rates that keeps the bound; the log of the lowest if none does."""
    log: dict[str, Any] = {}
    for fraction in SERVER_RATES:
        request["rate_per_s"] = fraction * 1000 / request["expected_ms"]
        log = worker.ask(request)
        if log["perf_constraints_met"]:
            break
    return log


def _result(
    name: str,
    folder: Path,
    request: dict[str, Any],
    log: dict[str, Any],
    warm_up_passes: int,
    memory: dict[str, int],
) -> LoadResult:
    latencies_ms = np.load(folder / LATENCIES_FILE, allow_pickle=False)
    p50_ms, p90_ms, p99_ms = np.percentile(latencies_ms, (50, 90, 99)).tolist()
    logged = [log[f"{percentile}.00_percentile_latency_ns"] / 1e6 for percentile in (50, 90, 99)]
    if name == "server":
        # A question that is asked late has waited too, which only LoadGen knows.
        p50_ms, p90_ms, p99_ms = logged
    rates = {
        "single_stream": lambda: log["qps_with_loadgen_overhead"],
        "offline": lambda: log["samples_per_second"],
        "server": lambda: log["completed_samples_per_sec"],
    }
    return LoadResult(
        scenario=name,
        queries=len(latencies_ms),
        texts_per_s=float(rates[name]()),
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p99_ms=p99_ms,
        loadgen_p90_ms=logged[1],
        loadgen_p99_ms=logged[2],
        loadgen_valid=log["validity"] == "VALID",
        rate_per_s=request.get("rate_per_s"),
        bound_ms=request.get("latency_ms"),
        bound_percentile=request.get("percentile"),
        bound_kept=log["perf_constraints_met"] if name == "server" else None,
        warm_up_passes=warm_up_passes,
        **memory,
    )

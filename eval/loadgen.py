"""MLPerf LoadGen asks, an engine answers: one scenario in this process, timed by both.

LoadGen (mlcommons-loadgen) decides when which text is asked and keeps its own logs; the latencies
kept beside them are ours, from the moment it asks to the moment it is answered.
"""

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mlperf_loadgen
import numpy as np

LATENCIES_FILE = "latencies_ms.npy"
DETAIL_FILE = "mlperf_log_detail.txt"
LOG_MARK = ":::MLLOG "
MIN_QUERIES = 100
# Python hands its lock over every 5 ms by default, as long as several inferences.
SWITCH_S = 0.0002

Engine = Callable[[list[str]], object]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One run of one scenario.

    Attributes:
        scenario: `single_stream`, `offline` or `server`.
        seconds: How long at least.
        folder: Where LoadGen's logs and the latencies go.
        expected_ms: Latency of one text, as the warm-up saw it.
        batch_size: Offline: texts of one inference.
        rate_per_s: Server: mean rate of the arrivals, which are a Poisson process.
        latency_ms: Server: the bound.
        percentile: Server: the fraction of the queries that has to keep it.
    """

    scenario: str
    seconds: float
    folder: str
    expected_ms: float
    batch_size: int = 1
    rate_per_s: float = 0.0
    latency_ms: float = 0.0
    percentile: float = 0.99


def drive(engine: Engine, texts: Sequence[str], request: Request) -> dict[str, Any]:
    """Run a scenario.

    Args:
        engine: Answers a list of texts.
        texts: What may be asked.
        request: The scenario and its terms.

    Returns:
        What LoadGen logged under `result_*`, by name without that prefix. The latencies are in the
        request's folder, ms, shape (queries,).
    """
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    system = SYSTEMS[request.scenario](engine, texts, request)
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    under_test = mlperf_loadgen.ConstructSUT(system.ask, lambda: None)
    library = mlperf_loadgen.ConstructQSL(len(texts), len(texts), _nothing, _nothing)
    try:
        mlperf_loadgen.StartTestWithLogSettings(
            under_test, library, _settings(request), _log_settings(folder)
        )
        system.close()
    finally:
        mlperf_loadgen.DestroyQSL(library)
        mlperf_loadgen.DestroySUT(under_test)
        sys.setswitchinterval(switch_s)
    np.save(folder / LATENCIES_FILE, np.array(system.latencies_ms), allow_pickle=False)
    return read_log(folder)


def read_log(folder: Path) -> dict[str, Any]:
    """Read the results that LoadGen logged into a folder, by name without `result_`."""
    lines = (folder / DETAIL_FILE).read_text().splitlines()
    records = [json.loads(line[len(LOG_MARK) :]) for line in lines if line.startswith(LOG_MARK)]
    return {
        record["key"].removeprefix("result_"): record["value"]
        for record in records
        if record["key"].startswith("result_")
    }


class _System(Protocol):
    latencies_ms: list[float]

    def ask(self, samples: list[Any]) -> None:
        """Take queries of LoadGen."""

    def close(self) -> None:
        """Wait until all are answered."""


class _OneByOne:
    """Answers a query before the next is asked."""

    def __init__(self, engine: Engine, texts: Sequence[str], request: Request) -> None:
        self.engine, self.texts = engine, texts
        self.latencies_ms: list[float] = []

    def ask(self, samples: list[Any]) -> None:
        started_ns = time.perf_counter_ns()
        for sample in samples:
            self.engine([self.texts[sample.index]])
            _complete([sample])
            self.latencies_ms.append((time.perf_counter_ns() - started_ns) / 1e6)

    def close(self) -> None:
        pass


class _InBatches:
    """Is asked everything at once; neighbours in length share a batch, to pad the least."""

    def __init__(self, engine: Engine, texts: Sequence[str], request: Request) -> None:
        self.engine, self.texts, self.batch_size = engine, texts, request.batch_size
        self.latencies_ms: list[float] = []

    def ask(self, samples: list[Any]) -> None:
        started_ns = time.perf_counter_ns()
        ordered = sorted(samples, key=lambda sample: len(self.texts[sample.index]))
        for start in range(0, len(ordered), self.batch_size):
            batch = ordered[start : start + self.batch_size]
            self.engine([self.texts[sample.index] for sample in batch])
            _complete(batch)
            now_ms = (time.perf_counter_ns() - started_ns) / 1e6
            self.latencies_ms.extend([now_ms] * len(batch))

    def close(self) -> None:
        pass


class _Queued:
    """Queries arrive when they will and wait for those before them."""

    def __init__(self, engine: Engine, texts: Sequence[str], request: Request) -> None:
        self.engine, self.texts = engine, texts
        self.latencies_ms: list[float] = []
        self.waiting: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def ask(self, samples: list[Any]) -> None:
        asked_ns = time.perf_counter_ns()
        for sample in samples:
            self.waiting.put((asked_ns, sample))

    def close(self) -> None:
        self.waiting.put(None)
        self.thread.join()

    def _serve(self) -> None:
        while (next_one := self.waiting.get()) is not None:
            asked_ns, sample = next_one
            self.engine([self.texts[sample.index]])
            _complete([sample])
            self.latencies_ms.append((time.perf_counter_ns() - asked_ns) / 1e6)


SYSTEMS: dict[str, Callable[[Engine, Sequence[str], Request], _System]] = {
    "single_stream": _OneByOne,
    "offline": _InBatches,
    "server": _Queued,
}
SCENARIOS = {"single_stream": "SingleStream", "offline": "Offline", "server": "Server"}


def _settings(request: Request) -> Any:
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = getattr(mlperf_loadgen.TestScenario, SCENARIOS[request.scenario])
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = int(request.seconds * 1000)
    settings.min_query_count = MIN_QUERIES
    settings.single_stream_expected_latency_ns = int(request.expected_ms * 1e6)
    settings.offline_expected_qps = 1000 / request.expected_ms
    settings.server_target_qps = request.rate_per_s
    settings.server_target_latency_ns = int(request.latency_ms * 1e6)
    settings.server_target_latency_percentile = request.percentile
    return settings


def _log_settings(folder: Path) -> Any:
    settings = mlperf_loadgen.LogSettings()
    settings.log_output.outdir = str(folder)
    settings.log_output.copy_summary_to_stdout = False
    settings.enable_trace = False
    return settings


def _complete(samples: list[Any]) -> None:
    # LoadGen asks for a pointer to the answer; in a performance run it does not look at it.
    mlperf_loadgen.QuerySamplesComplete(
        [mlperf_loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
    )


def _nothing(_: list[int]) -> None:
    """The texts are in memory already."""

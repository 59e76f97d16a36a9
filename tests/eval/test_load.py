import json
import time
from dataclasses import replace

import numpy as np
import pytest

from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.config import (
    OfflineConfig,
    ScenariosConfig,
    ServerConfig,
    SingleStreamConfig,
)
from pocketbert.eval.load import measure_load
from pocketbert.eval.loadgen import DETAIL_FILE, LATENCIES_FILE, Request, drive, read_log

from .conftest import LABELS, MAX_LENGTH

TEXTS = ["a lovely film", "dull and messy", "the story is bright and very funny"]
SHORT = ScenariosConfig(
    single_stream=SingleStreamConfig(seconds=0.2),
    offline=OfflineConfig(seconds=0.2, batch_size=4),
    server=ServerConfig(latency_ms=1000, seconds=0.2),
)


class Recorder:
    """Takes a millisecond a batch and remembers what it was asked."""

    def __init__(self, ms=1.0):
        self.ms, self.asked = ms, []

    def __call__(self, texts):
        time.sleep(self.ms / 1000)
        self.asked.append(list(texts))


def request(scenario, folder, **more):
    return Request(scenario=scenario, seconds=0.1, folder=str(folder), expected_ms=1.2, **more)


@pytest.mark.parametrize(
    ("scenario", "more"),
    [
        ("single_stream", {}),
        ("offline", {"batch_size": 4}),
        ("server", {"rate_per_s": 100.0, "latency_ms": 500.0}),
    ],
)
def test_loadgens_percentiles_are_ours(tmp_path, scenario, more):
    engine = Recorder()
    log = drive(engine, TEXTS, request(scenario, tmp_path, **more))
    latencies_ms = np.load(tmp_path / LATENCIES_FILE)
    assert len(latencies_ms) == sum(map(len, engine.asked)) >= 100
    assert {text for texts in engine.asked for text in texts} == set(TEXTS)
    assert max(map(len, engine.asked)) == more.get("batch_size", 1)
    for percentile in (50, 90):
        theirs_ms = log[f"{percentile}.00_percentile_latency_ns"] / 1e6
        ours_ms = np.percentile(latencies_ms, percentile, method="inverted_cdf")
        if scenario == "server":  # LoadGen counts from when it should have asked, not when it did
            assert 1 <= ours_ms <= theirs_ms + 1
        else:
            assert ours_ms == pytest.approx(theirs_ms, rel=0.1, abs=1)
    assert log == read_log(tmp_path)
    assert (tmp_path / DETAIL_FILE).is_file()


def test_offline_batches_hold_neighbours_in_length(tmp_path):
    engine = Recorder()
    drive(engine, ["a", "a b c d e f g h"], request("offline", tmp_path, batch_size=10))
    mixed = [texts for texts in engine.asked if len(set(texts)) > 1]
    assert len(mixed) <= 1


def test_arrivals_faster_than_the_answers_miss_the_bound(tmp_path):
    log = drive(
        Recorder(ms=5), TEXTS, request("server", tmp_path, rate_per_s=1000.0, latency_ms=20.0)
    )
    assert not log["perf_constraints_met"]


def test_every_scenario_runs_in_a_process_of_its_own(onnx_folder, tmp_path):
    artifact = Artifact(name="exact", title="exact", kind="onnx", folder=str(onnx_folder))
    found = measure_load(artifact, TEXTS, LABELS, MAX_LENGTH, SHORT, 1, tmp_path)
    assert [one.scenario for one in found] == ["single_stream", "offline", "server"]
    for one in found:
        folder = tmp_path / f"exact-{one.scenario}"
        assert len(np.load(folder / LATENCIES_FILE)) == one.queries >= 100
        assert 0 < one.p50_ms <= one.p90_ms <= one.p99_ms
        assert one.texts_per_s > 0
        assert one.peak_bytes > 1_000_000
        records = (folder / DETAIL_FILE).read_text()
        assert json.loads(records.splitlines()[0].removeprefix(":::MLLOG "))["metadata"]
    server = found[2]
    assert (server.bound_ms, server.bound_kept) == (1000, True)
    assert server.rate_per_s > 0


def test_a_bound_that_no_rate_keeps_is_said(onnx_folder, tmp_path):
    artifact = Artifact(name="exact", title="exact", kind="onnx", folder=str(onnx_folder))
    scenarios = replace(ScenariosConfig(), server=ServerConfig(latency_ms=0.0001, seconds=0.01))
    (server,) = measure_load(artifact, TEXTS, LABELS, MAX_LENGTH, scenarios, 1, tmp_path)
    assert server.bound_kept is False

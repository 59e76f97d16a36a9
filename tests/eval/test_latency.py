import os
import shutil
import subprocess
import sys

import pytest

from pocketbert.compress.errors import UserError
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.latency import choose_texts, measure_latency
from pocketbert.eval.worker import MAX_WARM_UP_PASSES, warm_up

from .conftest import CONFIG, LABELS, MAX_LENGTH

TEXTS = ["a lovely film", "dull and messy", "the story is bright and very funny"]


def artifact(name, folder, kind="onnx"):
    return Artifact(name=name, title=name, kind=kind, folder=str(folder))


def measure(artifacts, logs, texts=TEXTS):
    return measure_latency(artifacts, texts, LABELS, MAX_LENGTH, CONFIG, logs)


def test_every_engine_answers_every_text_in_every_round(onnx_folder, bundle_folder, tmp_path):
    measured = measure(
        [artifact("exact", onnx_folder), artifact("shipped", bundle_folder, "bundle")], tmp_path
    )
    assert list(measured) == ["exact", "shipped"]
    for measurement in measured.values():
        assert measurement.latencies_ms.shape == (CONFIG.latency_rounds, len(TEXTS))
        assert (measurement.latencies_ms > 0).all()
        assert measurement.cold_start_ms > measurement.open_ms > 0
        assert measurement.peak_bytes >= measurement.resident_bytes > 1_000_000
        assert 1 <= measurement.warm_up_passes <= MAX_WARM_UP_PASSES
    if hasattr(os, "sched_setaffinity"):
        assert len(measured["exact"].cpus) == CONFIG.threads
        assert measured["exact"].cpus == measured["shipped"].cpus


def test_a_worker_that_dies_is_named_with_its_last_words(onnx_folder, copied, tmp_path):
    broken = copied(onnx_folder)
    (broken / "model.onnx").write_bytes(b"not an onnx file")
    artifacts = [artifact("exact", onnx_folder), artifact("broken-one", broken)]
    with pytest.raises(UserError, match=r"process of broken-one .*last words: .*model\.onnx"):
        measure(artifacts, tmp_path / "logs")
    assert "Traceback" in (tmp_path / "logs" / "broken-one.log").read_text()


def test_a_worker_that_reads_nothing_is_named_too(onnx_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(UserError, match=r"process of exact .* ended with code 1"):
        measure([artifact("exact", onnx_folder)], tmp_path, texts=["x" * 100] * 5000)


def test_no_worker_outlives_the_measurement(onnx_folder, tmp_path):
    measure([artifact("exact", onnx_folder)], tmp_path)
    listing = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    assert "pocketbert.eval.worker" not in listing.stdout


def test_opening_an_onnx_engine_imports_neither_torch_nor_scipy():
    code = (
        "import sys, pocketbert.eval.worker; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_warm_up_ends_early_once_steady_and_always_ends():
    assert warm_up(lambda texts: sum(range(200_000)), ["a"]) <= MAX_WARM_UP_PASSES


def test_the_same_texts_are_drawn_every_time():
    texts = [str(number) for number in range(50)]
    assert choose_texts(texts, 10) == choose_texts(texts, 10)
    assert len(set(choose_texts(texts, 10))) == 10
    assert sorted(choose_texts(texts, 99)) == sorted(texts)

"""Several runs and devices in one page: who belongs to whom, and what is refused."""

import json
import shutil

import pytest

from pocketbert.compress.errors import UserError
from pocketbert.deploy.bundle import hash_file
from pocketbert.eval.report import write_report
from pocketbert.eval.results import read_results
from pocketbert.eval.together import write_together

from .test_report import RECIPE


@pytest.fixture
def run(evaluation, bundle_folder, tmp_path):
    """The results of a run."""
    write_report(out=tmp_path / "run", evaluation=evaluation, recipe=RECIPE, stages=[])
    shutil.copytree(bundle_folder, tmp_path / "run/bundle")
    return tmp_path / "run"


def device_file(path, manifest_sha256):
    """What `pocketbert bench` writes on a device, as far as it is read."""
    row = {"bundle": "/home/me/bundle", "target": "onnxruntime", "texts": "real lengths"}
    figures = {"p50_ms": 7.5, "p90_ms": 8.5, "p99_ms": 9.5, "energy_mj": 12.5}
    bundle = {"folder": "/home/me/bundle", "manifest_sha256": manifest_sha256}
    content = {"environment": {"cpu": "Cortex <A78>"}, "bundles": [bundle], "rows": [row | figures]}
    path.write_text(json.dumps(content))
    return path


def test_a_device_stands_beside_the_run_of_its_bundle(run, evaluation, tmp_path):
    device = device_file(tmp_path / "orin.json", hash_file(run / "bundle/manifest.json"))
    here, there = write_together(tmp_path / "page.html", [run], [device])
    engine = read_results(evaluation).of("engine-int8")
    assert here.p50_ms == engine.latency.p50_ms
    assert (there.p50_ms, there.p99_ms, there.energy_mj) == (7.5, 9.5, 12.5)
    assert there.accuracy == here.accuracy == engine.accuracy
    page = (tmp_path / "page.html").read_text()
    assert page.count('id="plot-point-') == 2
    assert "Cortex &lt;A78&gt;" in page
    assert "12.5 mJ" in page
    assert "<script" not in page
    assert "https://" not in page


def test_what_was_measured_on_another_bundle_is_refused(run, tmp_path):
    device = device_file(tmp_path / "orin.json", "0123456789abcdef")
    with pytest.raises(UserError, match=r"on the bundle 0123456789ab, expected one of the runs"):
        write_together(tmp_path / "page.html", [run], [device])
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("content", ["{}", "no JSON", "[]"])
def test_what_is_no_results_file_is_refused(run, tmp_path, content):
    (tmp_path / "orin.json").write_text(content)
    with pytest.raises(UserError, match=r"expected what pocketbert bench wrote"):
        write_together(tmp_path / "page.html", [run], [tmp_path / "orin.json"])


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no bundle, expected the folder of a run's results"):
        write_together(tmp_path / "page.html", [tmp_path], [])

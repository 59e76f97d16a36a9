"""Gates: how they are read, how they end, and what is said about it."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from pocketbert.eval.decide_gates import MEASURED, decide, decide_gates, read_gates
from pocketbert.eval.gates import METRICS, parse_gate
from pocketbert.eval.intervals import Interval, percentile
from pocketbert.eval.report import write_report
from pocketbert.eval.results import read_results, write_results
from pocketbert.recipes.junit import write_junit

RECIPE = {"name": "tiny", "task": {"kind": "text-classification", "max_length": 32}}
RECIPE |= {"about": "tiny", "data": {"train": "reviews.csv"}}
TARGETS = ("onnxruntime", "openvino")


def gate(text):
    return parse_gate(text, TARGETS)


def test_every_metric_can_be_measured():
    assert MEASURED.keys() == METRICS.keys()


@pytest.mark.parametrize(
    ("text", "limit", "target", "on_value"),
    [
        ("accuracy_retention >= 0.98", 0.98, None, False),
        ("metric_drop <= 0.01", 0.01, None, False),
        ("p99_ms<=5ms on onnxruntime", 5.0, "onnxruntime", False),
        ("bytes <= 12 MB on value on openvino", 12e6, "openvino", True),
        ("peak_bytes <= 1.5 KiB", 1536.0, None, False),
        ("p50_ratio_pytorch >= 1e1 on value", 10.0, None, True),
    ],
)
def test_a_gate_is_read(text, limit, target, on_value):
    found = gate(text)
    assert (found.limit, found.target, found.on_value) == (limit, target, on_value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy >= 91", "expected a fraction from 0 to 1; did you mean 0.91?"),
        ("bytes <= 12", "GiB; did you mean 12 MB?"),
        ("p99_ms <= 5 s", "expected the limit of p99_ms in ms"),
        ("p99_ms <= five", "expected a number from 0 up"),
        ("p99_ms <= nan", "expected a number from 0 up"),
        ("p99_ms <= 5 on onnx", "behind 'on'; did you mean 'onnxruntime'?"),
        ("p99_ms <= 5 on value on value", "at most one 'on TARGET' and one 'on value'"),
        ("p99_ms < 5", "expected 'p99_ms <= LIMIT'"),
        ("p99_ms <= 5 for openvino", "expected 'METRIC >= LIMIT'"),
    ],
)
def test_what_is_no_gate_is_refused(text, said):
    with pytest.raises(ValueError, match="expected") as caught:
        gate(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ends", "outcome"),
    [
        ("accuracy >= 0.9", (0.95, 0.9, 0.97), "pass"),
        ("accuracy >= 0.9", (0.95, 0.89, 0.97), "undecidable"),
        ("accuracy >= 0.9", (0.88, 0.86, 0.9), "undecidable"),
        ("accuracy >= 0.9", (0.88, 0.86, 0.899), "miss"),
        ("accuracy >= 0.9 on value", (0.95, 0.5, 1.0), "pass"),
        ("accuracy >= 0.9 on value", (0.89, 0.5, 1.0), "miss"),
        ("p99_ms <= 5", (4.0, 3.0, 5.0), "pass"),
        ("p99_ms <= 5", (4.0, 3.0, 5.1), "undecidable"),
        ("p99_ms <= 5", (6.0, 5.1, 7.0), "miss"),
    ],
)
def test_the_interval_decides(text, ends, outcome):
    assert decide(gate(text), Interval(*ends)) == outcome


def test_the_interval_of_a_percentile_covers_and_narrows():
    draw, covered, widths = np.random.default_rng(0), 0, {}
    for texts in (50, 400):
        widths[texts] = []
        for _ in range(60):
            per_text = draw.exponential(size=texts)
            found = percentile(np.tile(per_text, (3, 1)), 90, 0.95, 200)
            covered += found.holds(np.log(10))
            widths[texts].append(found.high - found.low)
    # Were rounds taken for texts of their own, the interval would be too narrow by the root of 3.
    assert covered >= 0.9 * 120
    assert np.mean(widths[400]) < 0.5 * np.mean(widths[50])


@pytest.fixture(scope="module")
def decided(evaluation, tmp_path_factory):
    out = tmp_path_factory.mktemp("gates")
    texts = (
        "bytes <= 1 GB",
        "p99_ms <= 0.000001",
        f"accuracy >= {read_results(evaluation).of('engine-int8').accuracy.value}",
        "agreement >= 0 on openvino",
    )
    summary = decide_gates(out=out, gates=[gate(text) for text in texts], evaluation=evaluation)
    assert summary == {"pass": 2, "miss": 1, "undecidable": 1}
    return out


def test_outcomes_are_said_with_what_was_measured(decided, evaluation):
    passed, missed, undecidable, _ = read_gates(decided)
    engine = read_results(evaluation).of("engine-int8")
    assert passed.found.low == passed.found.high == engine.footprint.weights_bytes
    assert missed.outcome == "miss"
    assert missed.found.value == pytest.approx(engine.latency.p99_ms)
    assert "all of it beyond the limit" in missed.explanation
    assert undecidable.outcome == "undecidable"
    assert "too wide for this gate" in undecidable.explanation


def test_it_is_said_how_many_texts_would_decide(evaluation, tmp_path):
    results = read_results(evaluation)
    engine = results.of("engine-int8")
    planted = replace(engine, accuracy=Interval(0.95, 0.90, 0.99))
    others = [one for one in results.artifacts if one is not engine]
    for name in ("predictions", "latency"):
        (tmp_path / name).symlink_to(evaluation / name)
    write_results(replace(results, artifacts=(*others, planted)), tmp_path)
    decide_gates(out=tmp_path, gates=[gate("accuracy >= 0.925")], evaluation=tmp_path)
    said = read_gates(tmp_path)[0].explanation
    # Twice as far as the limit reaches the interval: four times the texts halve it.
    assert results.split_sizes["test"] == 122
    assert "with 122 test texts it is, some 490 would decide it" in said


def test_reports_show_every_gate(decided, evaluation, tmp_path):
    write_report(out=tmp_path, evaluation=evaluation, recipe=RECIPE, stages=[], gates=decided)
    found = json.loads((tmp_path / "report.json").read_text())["gates"]
    assert [one["outcome"] for one in found] == ["pass", "miss", "undecidable", "pass"]
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert text.count("undecidable") >= 1
        assert found[1]["explanation"] in text


def test_junit_counts_and_names_what_did_not_pass(decided, tmp_path):
    write_junit(tmp_path / "gates.xml", "tiny", read_gates(decided))
    suite = ElementTree.parse(tmp_path / "gates.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert failures["bytes <= 1 GB"] is None
    assert failures["p99_ms <= 0.000001"].get("type") == "miss"

from dataclasses import replace

import pytest

from pocketbert.eval import wording
from pocketbert.eval.intervals import Interval
from pocketbert.eval.results import read_results


@pytest.fixture
def comparison(evaluation):
    return read_results(evaluation).of("engine-int8").to_teacher


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(-0.01, -0.03, 0.01), "no measurable difference"),
        (Interval(-0.02, -0.03, -0.01), "less accurate"),
        (Interval(0.02, 0.01, 0.03), "more accurate"),
        (Interval(0.0, 0.0, 0.0), "no measurable difference"),
    ],
)
def test_a_difference_is_claimed_only_if_its_interval_excludes_none(comparison, interval, words):
    assert wording.verdict(replace(comparison, difference=interval)) == words


def test_what_zeros_buy_is_said_of_a_sparse_run_only():
    compiled = {
        "zero_weights": 0.4961,
        "two_of_four_matmuls": 12,
        "bytes": 15_100_000,
        "deflated_bytes": 9_000_000,
    }
    stages = [{"name": "compile", "summary": compiled}]
    assert wording.what_zeros_buy(stages) is None
    said = wording.what_zeros_buy([*stages, {"name": "sparsify", "summary": {}}])
    for part in ("49.6% of the weights", "12 of these products", "15.1 MB", "9.00 MB"):
        assert part in said


def test_headline_says_when_nothing_can_be_told(evaluation):
    results = read_results(evaluation)
    engine = results.of("engine-int8")
    unsure = replace(engine.to_teacher, difference=Interval(-0.01, -0.03, 0.01))
    changed = replace(
        results, artifacts=(*results.artifacts[:-1], replace(engine, to_teacher=unsure))
    )
    assert "no measurable difference on" in wording.headline(changed)[0]


def test_headline_says_slow_when_it_is_slower(evaluation):
    results = read_results(evaluation)
    engine = results.of("engine-int8")
    slower = replace(engine.to_baseline, p50_ratio=0.5, p50_ratio_by_round=(0.5, 0.5))
    changed = replace(
        results, artifacts=(*results.artifacts[:-1], replace(engine, to_baseline=slower))
    )
    assert "2.00 times as slow" in wording.headline(changed)[1]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (wording.percent(0.91432), "91.4%"),
        (wording.p_value(0.03412), "0.034"),
        (wording.p_value(3e-20), "<0.0001"),
        (wording.milliseconds(4.1349), "4.13 ms"),
        (wording.milliseconds(131.7), "132 ms"),
        (wording.size(17_400_000), "17.4 MB"),
        (wording.points(Interval(-0.012, -0.023, 0.0001)), "\u22121.2 (\u22122.3 to 0.0)"),
    ],
)
def test_figures(shown, expected):
    assert shown == expected


@pytest.mark.parametrize(
    ("name", "title", "value", "interval", "difference"),
    [
        ("accuracy", "Accuracy", "91.4%", "89.4 to 93.1%", "+1.2 (\u22120.3 to +2.4)"),
        ("entity F1", "Entity F1", "0.914", "0.894 to 0.931", "+0.012 (\u22120.003 to +0.024)"),
    ],
)
def test_only_accuracy_is_in_percent(name, title, value, interval, difference):
    metric = wording.MetricWording(name)
    assert metric.title == title
    assert metric.value(0.9143) == value
    assert metric.range(Interval(0.9143, 0.894, 0.931)) == interval
    assert metric.difference(Interval(0.012, -0.003, 0.024)) == difference


def test_headline_names_the_metric(evaluation):
    results = replace(read_results(evaluation), metric="Pearson correlation")
    engine = results.of("engine-int8").accuracy.value
    first = wording.headline(results)[0]
    assert "of the teacher's Pearson correlation (" in first
    assert f": {engine:.3f} against 0." in first
    assert "points" not in first

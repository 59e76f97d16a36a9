import copy
from collections import Counter

import pytest

from pocketbert.recipes.compare import _graph, _recipe, _results, _sizes, _versions

ENVIRONMENT = {
    "cpu": "one",
    "instruction_sets": ["AVX2"],
    "cpus": 2,
    "governor": None,
    "system": "Linux",
    "python": "3.11",
    "libraries": {"onnxruntime": "1.30.0", "numpy": "2.2"},
}


def interval(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.fixture
def report():
    engine = {
        "artifact": {"name": "engine"},
        "accuracy": interval(0.8, 0.78, 0.82),
        "latency": {"p50_ms": 2.0, "p50_by_round_ms": [1.9, 2.0, 2.1]},
        "footprint": {"parameters": 1000, "weights_bytes": 4_000_000, "total_bytes": 5_000_000},
        "to_teacher": {
            "retention": interval(0.97, 0.95, 0.99),
            "agreement": interval(0.9, 0.88, 0.92),
        },
    }
    results = {"data_fingerprint": "d0", "environment": ENVIRONMENT, "artifacts": [engine]}
    return {"results": results | {"engine": "engine"}}


def engine(report):
    return report["results"]["artifacts"][0]


def verdicts(first, second):
    found = _results([first, second], [engine(first), engine(second)])
    return {one.what: one.verdict for one in found}


def test_keys_that_differ_are_named_and_the_name_is_not():
    ours = {"name": "a", "about": "x", "distill": {"student": {"layers": 3}}, "trim": None}
    theirs = {"name": "b", "about": "y", "distill": {"student": {"layers": 2}}, "seed": 1}
    found = {one.what: (one.first, one.second) for one in _recipe(ours, theirs)}
    assert found == {"distill.student.layers": ("3", "2"), "seed": ("absent", "1")}


def test_versions_and_operators_that_differ_are_named():
    other = copy.deepcopy(ENVIRONMENT)
    other["libraries"] = {"onnxruntime": "1.31.1", "numpy": "2.2", "torch": "2.13.0"}
    found = {one.what: (one.first, one.second) for one in _versions(ENVIRONMENT, other)}
    assert found == {"onnxruntime": ("1.30.0", "1.31.1"), "torch": ("absent", "2.13.0")}
    graph = _graph(Counter({"MatMul": 3, "Add": 1}), Counter({"MatMul": 2, "Add": 1}))
    assert [(one.what, one.first, one.second) for one in graph] == [("MatMul", "3", "2")]


def test_sizes_are_divided(report):
    other = copy.deepcopy(report)
    engine(other)["footprint"]["weights_bytes"] = 1_000_000
    (found,) = _sizes(engine(report), engine(other))
    assert (found.what, found.first, found.verdict) == ("weights_bytes", "4.0 MB", "0.25 times")


def test_words_say_no_more_than_the_intervals_carry(report):
    same = verdicts(report, copy.deepcopy(report))
    assert same["accuracy"] == "cannot be told apart: the intervals overlap"
    other = copy.deepcopy(report)
    engine(other)["accuracy"] = interval(0.7, 0.68, 0.72)
    engine(other)["latency"] = {"p50_ms": 1.0, "p50_by_round_ms": [0.9, 1.0]}
    found = verdicts(report, other)
    assert found["accuracy"] == "the second is less accurate"
    assert found["p50"].startswith("the second is faster; measured apart")


def test_what_was_measured_on_other_texts_or_machines_is_not_compared(report):
    other = copy.deepcopy(report)
    other["results"]["data_fingerprint"] = "d1"
    other["results"]["environment"] = ENVIRONMENT | {"cpu": "two"}
    found = verdicts(report, other)
    assert found["accuracy"] == "not comparable: other test texts"
    assert found["p50"] == "not comparable: other processors"

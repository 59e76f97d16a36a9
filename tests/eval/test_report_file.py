import csv
import json
from xml.etree import ElementTree

import pytest
import yaml

from pocketbert.eval.intervals import Interval
from pocketbert.eval.plot import SliceBar, pareto_front, slice_bars
from pocketbert.eval.report import CSV_COLUMNS, LOAD_COLUMNS, points_of, write_report
from pocketbert.eval.report_file import SCHEMA, read_report, report_schema
from pocketbert.eval.wording import MetricWording

RECIPE = {
    "name": "tiny",
    "about": "made-up reviews",
    "task": {"kind": "text-classification", "labels": ["bad", "good"], "max_length": 32},
    "data": {"train": "reviews.csv"},
    "teacher": {"model": "hf:some/bert"},
}


@pytest.fixture(scope="module")
def report(evaluation, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write_report(out=out, evaluation=evaluation, recipe=RECIPE, stages=[])
    return out


def test_the_schema_that_ships_is_that_of_the_types():
    assert json.loads(SCHEMA.read_text()) == report_schema()


def test_a_report_is_read_as_it_was_written(report):
    found = read_report(report / "report.json")
    assert found.recipe == RECIPE
    assert found.results.of("engine-int8").accuracy.value == found.summary["engine_accuracy"]


def test_the_table_has_every_artifact_unrounded(report):
    rows = list(csv.DictReader((report / "report.csv").read_text().splitlines()))
    results = read_report(report / "report.json").results
    assert tuple(rows[0]) == CSV_COLUMNS + LOAD_COLUMNS
    assert [row["artifact"] for row in rows] == [one.artifact.name for one in results.artifacts]
    assert [float(row["p99_ms"]) for row in rows] == [
        one.latency.p99_ms for one in results.artifacts
    ]


def test_the_table_has_what_every_scenario_found(under_load, tmp_path):
    write_report(out=tmp_path, evaluation=under_load, recipe=RECIPE, stages=[])
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert all(rows[0][column] == "" for column in LOAD_COLUMNS)  # PyTorch was not driven
    alone, offline, server = read_report(tmp_path / "report.json").results.of("engine-int8").load
    row = next(row for row in rows if row["artifact"] == "engine-int8")
    assert float(row["single_stream_p99_ms"]) == alone.p99_ms
    assert float(row["offline_texts_per_s"]) == offline.texts_per_s
    assert float(row["server_rate_per_s"]) == server.rate_per_s
    assert float(row["server_bound_percentile"]) == 0.9
    assert row["server_bound_kept"] == "True"


def test_the_model_card_is_one_that_the_hub_reads(report):
    from huggingface_hub import ModelCard

    card = ModelCard((report / "README.md").read_text())
    accuracy = read_report(report / "report.json").summary["engine_accuracy"]
    assert card.data.base_model == "some/bert"
    assert card.data.eval_results[0].metric_value == pytest.approx(accuracy, abs=1e-4)
    assert card.data.eval_results[0].dataset_name == "reviews.csv"
    header = yaml.safe_load((report / "README.md").read_text().split("---\n")[1])
    assert header["pipeline_tag"] == "text-classification"


def test_bars_show_engine_and_teacher_on_every_part():
    parts = [
        SliceBar(
            name=name,
            examples=40,
            engine=Interval(0.8, 0.7, 0.9),
            teacher=Interval(0.85, 0.75, 0.95),
        )
        for name in ("<bad>", "good")
    ]
    drawn = slice_bars("by-class", "By class", parts, MetricWording("accuracy"))
    root = ElementTree.fromstring(drawn.replace("xlink:", ""))
    assert root.find("desc").text == (
        "<bad>, 40 texts: engine 80.0% (70.0 to 90.0%), teacher 85.0%; "
        "good, 40 texts: engine 80.0% (70.0 to 90.0%), teacher 85.0%"
    )
    said = "".join(root.itertext())
    assert "<bad> (40)" in said
    assert "good (40)" in said


def test_the_front_holds_what_no_other_beats_in_both(report):
    results = read_report(report / "report.json").results
    points = points_of(results)
    front = pareto_front(points)
    assert front
    for one in points:
        beaten = [
            other
            for other in points
            if other.p50_ms < one.p50_ms and other.accuracy.value > one.accuracy.value
        ]
        assert bool(beaten) is (one not in front)

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from pocketbert.eval import wording
from pocketbert.eval.report import SUMMARY_COLUMNS, summary_table, write_report
from pocketbert.eval.results import read_results, write_results

VOID = {"meta", "br", "link", "img", "hr"}
TASK = {"kind": "text-classification", "labels": ["<bad>", "good"], "max_length": 32}
RECIPE = {"name": "tiny", "about": "tiny", "task": TASK, "data": {"train": "reviews.csv"}}
STAGES = [
    {"name": "teacher", "seconds": 61.5, "cached": True, "summary": {"parameters": 1234567}},
    {
        "name": "prune",
        "seconds": 3.0,
        "cached": False,
        "summary": {"macs": 5, "widths": [{"heads": 4, "neurons": 64}, {"heads": 1, "neurons": 0}]},
    },
    {
        "name": "choose",
        "seconds": 9.0,
        "cached": False,
        "summary": {
            "target": "fast",
            "tried": [
                {
                    "name": "fast",
                    "p50_ms": 0.5,
                    "agreement": 0.995,
                    "accuracy": 0.81,
                    "bytes": 2_000_000,
                    "int8_matmuls": 13,
                    "float_weight_matmuls": 1,
                    "verdict": "published",
                },
                {
                    "name": "wrong",
                    "p50_ms": 0.25,
                    "agreement": 0.5,
                    "accuracy": 0.5,
                    "bytes": 2_000_000,
                    "int8_matmuls": 14,
                    "float_weight_matmuls": 0,
                    "verdict": "agrees with the float model on less than 0.98",
                },
            ],
        },
    },
    {"name": "evaluate", "seconds": 8.25, "cached": False, "summary": {"retention": 0.5}},
]


class Page(HTMLParser):
    """Checks that tags nest and keeps what a reader sees."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attr) for attr in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *attr) for attr in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def report(evaluation, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write_report(out=out, evaluation=evaluation, recipe=RECIPE, stages=STAGES)
    return out


@pytest.fixture(scope="module")
def page(report):
    page = Page()
    page.feed((report / "report.html").read_text())
    page.close()
    return page


def test_summary_has_the_promised_keys(report):
    found = json.loads((report / "report.json").read_text())
    assert set(found["summary"]) == set(SUMMARY_COLUMNS) - {"recipe"}
    assert found["summary"]["wall_s"] == 61.5 + 3.0 + 9.0 + 8.25
    low, high = found["summary"]["retention_interval"]
    assert low <= found["summary"]["retention"] <= high


def test_json_holds_the_results_unrounded(report, evaluation):
    found = json.loads((report / "report.json").read_text())
    on_disk = json.loads((evaluation / "results.json").read_text())
    assert found["results"] == on_disk


def test_page_nests_and_loads_nothing(report, page):
    assert page.open == []
    html = (report / "report.html").read_text()
    assert "http://" not in html
    assert "https://" not in html
    loads = [value for tag, name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert all(value.startswith("#") for value in loads)
    assert "<script" not in html
    assert "@import" not in html


def test_ids_are_unique_and_references_resolve(page):
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = [v[1:] for _, name, v in page.attributes if name in ("href", "xlink:href")]
    labels = [v.split() for _, name, v in page.attributes if name == "aria-labelledby"]
    assert set(used) | {label for group in labels for label in group} <= set(ids)


def test_plot_is_drawn_and_described(report, evaluation):
    html = (report / "report.html").read_text()
    svg = re.search(r"<svg.*?</svg>", html, re.DOTALL).group()
    root = ElementTree.fromstring(svg.replace("xlink:", "xlink-"))
    assert root.attrib["role"] == "group"
    description = root.find("desc").text
    for result in read_results(evaluation).artifacts:
        assert f"{result.artifact.title}: {wording.percent(result.accuracy.value)}" in description


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_page_and_text_show_the_numbers_of_the_json(report, page, name):
    text = "".join(page.text) if name == "report.html" else (report / name).read_text()
    summary = json.loads((report / "report.json").read_text())["summary"]
    assert wording.percent(summary["retention"]) in text
    assert wording.times(summary["p50_ratio_pytorch"]) in text
    assert wording.times(summary["p50_ratio_onnxruntime"]) in text
    for artifact in json.loads((report / "report.json").read_text())["results"]["artifacts"]:
        assert wording.percent(artifact["accuracy"]["value"]) in text
        for key in ("p50_ms", "p90_ms", "p99_ms"):
            assert wording.milliseconds(artifact["latency"][key]) in text
        assert wording.size(artifact["peak_bytes"]) in text


def test_real_shapes_and_macs_are_told_layer_by_layer(report, page):
    for text in (" ".join(page.text), (report / "report.md").read_text()):
        assert "macs 5, heads 4 1, neurons 64 0" in text


def test_what_the_recipe_says_is_escaped(report, page):
    assert "<bad>" not in (report / "report.html").read_text()
    assert "<bad>" in "".join(page.text)


@pytest.mark.parametrize("of", ["report", "loaded_report"])
def test_tables_of_the_text_have_equal_columns(of, request):
    report = request.getfixturevalue(of)
    lines = (report / "report.md").read_text().split("## Do it again")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) > 20
    for table in re.findall(r"(?:^\|.*\n)+", "\n".join(lines) + "\n", re.MULTILINE):
        assert len({row.count("|") for row in table.strip().splitlines()}) == 1, table


@pytest.fixture(scope="module")
def loaded_report(under_load, tmp_path_factory):
    out = tmp_path_factory.mktemp("report-of-load")
    write_report(out=out, evaluation=under_load, recipe=RECIPE, stages=STAGES)
    return out


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_every_scenario_is_a_table_of_what_was_driven(loaded_report, under_load, name):
    between = r"<[^>]+>" if name == "report.html" else r"\|"
    shown = " ".join(re.sub(between, " ", (loaded_report / name).read_text()).split())
    driven = [result for result in read_results(under_load).artifacts if result.load]
    assert len(driven) == 2
    for result in driven:
        assert [load.scenario for load in result.load] == ["single_stream", "offline", "server"]
        for load in result.load:
            row = " ".join([result.artifact.title, *wording.load_cells(load).values()])
            assert row in shown
    for heading in ("SingleStream", "Offline", "Server", "90% within 1000 ms"):
        assert heading in shown


def test_only_what_waits_has_latencies_and_only_random_arrivals_a_bound(under_load):
    result = read_results(under_load).of("engine-int8")
    headings = {load.scenario: set(wording.load_cells(load)) for load in result.load}
    assert {name for name, cells in headings.items() if "p99" in cells} == {
        "single_stream",
        "server",
    }
    bounds = [name for name, cells in headings.items() if "90% within 1000 ms" in cells]
    assert bounds == ["server"]
    server = result.load[-1]
    assert wording.load_cells(server)["90% within 1000 ms"] == "kept"
    missed = replace(server, bound_kept=False)
    assert wording.load_cells(missed)["90% within 1000 ms"] == "missed"


def test_without_scenarios_nothing_is_said_of_them(report):
    for name in ("report.html", "report.md"):
        assert "LoadGen" not in (report / name).read_text()


def test_several_reports_make_one_table(report):
    found = json.loads((report / "report.json").read_text())
    rows = summary_table([found, found])
    assert [row["recipe"] for row in rows] == ["tiny", "tiny"]
    assert tuple(rows[0]) == SUMMARY_COLUMNS


def test_targets_that_were_tried_are_there_with_their_verdicts(report, page):
    shown = " ".join(" ".join(page.text).split())
    for said in ("Targets that were tried", "99.5%", "agrees with the float model on less than"):
        assert said in shown
    lines = [line for line in (report / "report.md").read_text().splitlines() if "wrong" in line]
    assert lines == [
        "| wrong | 0.25 ms | 50.0% | 50.0% | 14 | 0 | 2.00 MB | "
        "agrees with the float model on less than 0.98 |"
    ]


def test_without_a_choice_there_is_no_table_of_targets(evaluation, tmp_path):
    write_report(out=tmp_path, evaluation=evaluation, recipe=RECIPE, stages=STAGES[:2])
    assert "Targets that were tried" not in (tmp_path / "report.html").read_text()
    assert "Targets that were tried" not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("file", ["report.html", "report.md", "README.md"])
def test_nothing_is_called_accuracy_that_is_none(evaluation, tmp_path, file):
    results = replace(read_results(evaluation), metric="entity F1")
    write_results(results, tmp_path)
    write_report(out=tmp_path / "report", evaluation=tmp_path, recipe=RECIPE, stages=STAGES)
    text = (tmp_path / "report" / file).read_text()
    shown = re.sub(r"(?s)<style>.*?</style>|#accuracy|id=\"accuracy\"", "", text)
    assert re.findall(r"(?i).{0,30}accuracy.{0,30}|.{0,30}McNemar.{0,30}", shown) == []
    assert "entity F1" in shown
    engine = results.of(results.engine).accuracy
    assert f"{engine.value:.3f}" in shown
    assert f"{engine.low:.3f} to {engine.high:.3f}" in shown

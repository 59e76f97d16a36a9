import json
import random
from dataclasses import replace

import pytest

from pocketbert.compress.errors import UserError
from pocketbert.deploy.runners import RUNNERS, Row
from pocketbert.recipes.cache import StageResult
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.run import MARKER, REPORTS, _publish, run


@pytest.fixture
def stages(tmp_path):
    """What a run ends with, as far as publishing looks at it."""
    folders = {name: tmp_path / "work/stages" / f"{name}-0" for name in ("compile", "report")}
    (folders["compile"] / "bundle/onnxruntime").mkdir(parents=True)
    (folders["compile"] / "bundle/onnxruntime/model.onnx").write_bytes(b"model")
    folders["report"].mkdir()
    for report in REPORTS:
        (folders["report"] / report).write_text(report)
    return [StageResult(name, path, "f0", {}, 1.0, False) for name, path in folders.items()]


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


PUBLISHED = ["bundle/onnxruntime/model.onnx", *sorted(REPORTS), MARKER]


def test_results_are_published_once(tmp_path, stages):
    assert _publish(tmp_path / "work", "mine", stages) is True
    assert files(tmp_path / "work/mine") == sorted(PUBLISHED)
    finished = [replace(stage, cached=True) for stage in stages]
    assert _publish(tmp_path / "work", "mine", finished) is False


def test_a_stage_that_was_measured_anew_is_published(tmp_path, stages):
    _publish(tmp_path / "work", "mine", stages)
    (stages[1].folder / "report.md").write_text("measured again")
    again = [replace(stages[0], cached=True), stages[1]]
    assert _publish(tmp_path / "work", "mine", again) is True
    assert (tmp_path / "work/mine/report.md").read_text() == "measured again"


def test_newer_results_replace_older_ones_and_nothing_else(tmp_path, stages):
    _publish(tmp_path / "work", "mine", stages)
    (tmp_path / "work/mine/notes.txt").write_text("keep")
    (stages[0].folder / "bundle/onnxruntime/model.onnx").rename(
        stages[0].folder / "bundle/onnxruntime/other.onnx"
    )
    assert _publish(tmp_path / "work", "mine", [replace(s, fingerprint="f1") for s in stages])
    assert files(tmp_path / "work/mine") == sorted(
        ["bundle/onnxruntime/other.onnx", *REPORTS, MARKER, "notes.txt"]
    )


def test_a_lost_or_half_published_result_is_published_again(tmp_path, stages):
    results = tmp_path / "work/mine"
    _publish(tmp_path / "work", "mine", stages)
    (results / "report.md").unlink()
    (results / MARKER).write_text("{}")
    (results / ".new-killed").mkdir()
    assert _publish(tmp_path / "work", "mine", stages) is True
    assert files(results) == sorted(PUBLISHED)
    assert not (results / ".new-killed").exists()


def test_what_others_wrote_is_not_overwritten(tmp_path, stages):
    (tmp_path / "work/mine").mkdir(parents=True)
    (tmp_path / "work/mine/report.md").write_text("by hand")
    with pytest.raises(UserError, match=r"report\.md was not written by a run, expected a free"):
        _publish(tmp_path / "work", "mine", stages)
    assert (tmp_path / "work/mine/report.md").read_text() == "by hand"
    assert files(tmp_path / "work/mine") == ["report.md"]


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (
            "distil",
            r"^--until is 'distil', but there is no such stage; .*did you mean 'distill'\?$",
        ),
        ("prune", r"^--until is 'prune', but this recipe skips it; expected one of data, teacher"),
    ],
)
def test_a_wrong_stage_to_stop_at_is_said(write, here, until, message):
    (here / "reviews.csv").write_text("review,stars\n")
    with pytest.raises(UserError, match=message):
        run(load_recipe(write(), ["prune=null"]), here / "work", until)


def test_an_engine_that_cannot_run_here_is_said_before_anything_is_spent(write, here, monkeypatch):
    (here / "reviews.csv").write_text("review,stars\n")
    monkeypatch.setattr("pocketbert.recipes.run.available_isas", lambda: ("x86_64", "any"))
    with pytest.raises(UserError, match=r"stop with --until compile, or set compile\.isa=auto"):
        run(load_recipe(write(), ["compile.isa=arm64"]), here / "work")
    assert not (here / "work").exists()


def test_int8_is_not_checked_for_another_processor(write, here, monkeypatch):
    (here / "reviews.csv").write_text("review,stars\n")
    monkeypatch.setattr("pocketbert.recipes.run.available_isas", lambda: ("x86_64", "any"))
    qat = (
        "qat={only_below: 0.9, objectives: {logits: {weight: 1.0}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}"
    )
    with pytest.raises(UserError, match=r"measured here; leave out qat\.only_below, or set"):
        run(load_recipe(write(), ["compile.isa=arm64", qat]), here / "work", until="compile")
    assert not (here / "work").exists()


def test_a_missing_openvino_is_said_before_anything_is_spent(write, here, monkeypatch):
    (here / "reviews.csv").write_text("review,stars\n")
    row = Row("nowhere:open_target", "no_such_package", "pip install it")
    monkeypatch.setitem(RUNNERS, "openvino", row)
    for key, value in (("target", "openvino"), ("also", "[openvino]")):
        message = rf"compile\.{key} has openvino, but no_such_package is not installed \(pip inst"
        with pytest.raises(UserError, match=message):
            run(load_recipe(write(), [f"compile.{key}={value}"]), here / "work")
    assert not (here / "work").exists()


def test_latencies_of_another_processor_are_not_measured_here(write, here, monkeypatch):
    (here / "reviews.csv").write_text("review,stars\n")
    monkeypatch.setattr("pocketbert.recipes.run.available_isas", lambda: ("x86_64", "any"))
    by_latency = ["compile.isa=arm64", "prune.heads=0", "prune.neurons=0", "prune.speedup=2.0"]
    with pytest.raises(UserError, match=r"name a table measured there in prune\.latency_table"):
        run(load_recipe(write(), by_latency), here / "work", until="prune")
    assert not (here / "work").exists()


def test_a_language_model_is_trained_from_a_recipe_and_measured_once(here, tiny_checkpoint):
    draw = random.Random(0)
    words = ["film", "story", "plot", "dull", "bright", "the", "very", "is"]
    lines = [" ".join(draw.choices(words, k=6)) for _ in range(120)]
    (here / "plain.txt").write_text("\n".join(lines))
    (here / "own.yaml").write_text(
        "extends: masked_words\nabout: a test\n"
        "data: {train: plain.txt, format: text, columns: {text: text}}\n"
        f"teacher: {{model: '{tiny_checkpoint}', training: {{epochs: 1}}}}\n"
    )
    recipe = load_recipe("own.yaml")
    first = run(recipe, here / "work")
    assert [stage.name for stage in first.stages] == ["data", "teacher"]
    assert first.results is None
    summary = first.stages[-1].summary
    assert summary["validation_loss"] < summary["validation_loss_before"]
    assert summary["pseudo_perplexity"] > 1
    assert (first.stages[-1].folder / "model/model.safetensors").is_file()
    assert run(recipe, here / "work").idle


def test_a_run_that_stops_early_publishes_nothing(write, here):
    rows = [f"text number {i} and more,{'positive' if i % 2 else 'negative'}" for i in range(200)]
    (here / "reviews.csv").write_text("\n".join(["review,stars", *rows]))
    recipe = load_recipe(write())
    first = run(recipe, here / "work", until="data")
    assert (first.results, first.idle, first.stages[0].cached) == (None, False, False)
    second = run(recipe, here / "work", until="data")
    assert second.idle
    assert second.stages[0].summary == first.stages[0].summary
    record = json.loads((first.stages[0].folder / "stage.json").read_text())
    assert record["params"]["config"]["columns"] == {"text": "review", "label": "stars"}
    assert not (here / "work/small").exists()

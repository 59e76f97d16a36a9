"""The whole chain through the command line, on a tiny model and made-up reviews."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = """
name: tiny
about: made-up reviews, to see the whole chain
task: {{kind: text-classification, labels: [bad, good], max_length: 32}}
data: {{train: {reviews}, validation: 0.15, test: 0.2}}
teacher:
  model: {checkpoint}
  training: {{epochs: 4, learning_rate: 3e-3, batch_size: 16}}
distill:
  student: {{layers: 2}}
  objectives:
    soft_targets: {{weight: 1.0, temperature: 2.0}}
    hidden: {{weight: 0.5}}
    labels: {{weight: 0.2}}
  training: {{epochs: 3, learning_rate: 2e-3, batch_size: 16}}
prune:
  heads: 0.5
  neurons: 0.5
  neuron_multiple: 16
  objectives:
    soft_targets: {{weight: 1.0, temperature: 2.0}}
  training: {{epochs: 2, learning_rate: 1e-3, batch_size: 16}}
quantize: {{calibration_examples: 32}}
compile: {{}}
evaluate: {{latency_texts: 20, latency_rounds: 3, resamples: 500}}
"""


def pocketbert(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("pocketbert")), *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def recipe(tiny_checkpoint, tiny_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE.format(reviews=tiny_data / "reviews.jsonl", checkpoint=tiny_checkpoint))
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path) -> tuple[Path, Path, subprocess.CompletedProcess[str]]:
    work = recipe.parent / "runs"
    done = pocketbert("run", str(recipe), "--work", str(work))
    assert done.returncode == 0, done.stderr
    return recipe, work, done


def test_a_run_leaves_bundle_and_reports(finished):
    _, work, done = finished
    names = {path.name for path in (work / "tiny").iterdir()}
    assert {"bundle", "report.html", "report.md", "report.json"} <= names
    summary = json.loads((work / "tiny/report.json").read_text())["summary"]
    assert summary["teacher_accuracy"] > 0.9
    assert summary["engine_accuracy"] > 0.8
    low, high = summary["retention_interval"]
    assert low <= summary["retention"] <= high
    assert summary["size_ratio"] > 1
    assert {"p50_ratio_pytorch", "p50_ratio_onnxruntime", "wall_s"} <= summary.keys()
    assert "report.html" in done.stdout


def test_progress_is_plain_lines_when_nobody_looks(finished):
    _, _, done = finished
    assert "Fine-tune teacher" in done.stderr
    assert "step/s" in done.stderr
    assert "\x1b[" not in done.stderr + done.stdout


def test_a_finished_run_repeated_does_nothing_and_says_so(finished):
    recipe, work, _ = finished
    before = {p: p.stat().st_mtime_ns for p in work.rglob("*") if p.is_file()}
    started_s = time.monotonic()
    again = pocketbert("run", str(recipe), "--work", str(work))
    assert time.monotonic() - started_s < 5
    assert "nothing to do" in again.stdout
    assert before == {p: p.stat().st_mtime_ns for p in work.rglob("*") if p.is_file()}


def test_a_missed_gate_ends_with_3_and_leaves_bundle_and_report(finished, tmp_path):
    recipe, work, _ = finished
    gates = "gates=[bytes <= 1 GB, p99_ms <= 0.0001 on onnxruntime]"
    words = ("run", str(recipe), "--work", str(work), "--set", "name=gated", "--set", gates)
    done = pocketbert(*words, "--junit", str(tmp_path / "gates.xml"))
    assert done.returncode == 3, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("gate ")]
    assert len(said) == 1
    assert said[0].startswith("gate missed: p99_ms <= 0.0001 on onnxruntime: ")
    assert (tmp_path / "gates.xml").read_text().count("<failure") == 1
    assert {"bundle", "report.html"} <= {path.name for path in (work / "gated").iterdir()}
    assert json.loads((work / "gated/report.json").read_text())["gates"][0]["outcome"] == "pass"


def test_the_doctor_examines_a_run_and_compare_finds_no_difference(finished):
    _, work, _ = finished
    examined = pocketbert("doctor", str(work / "tiny"), "--json")
    assert examined.returncode == 0, examined.stderr
    found = json.loads(examined.stdout)
    assert found["speed"][0]["int8_products"] > 0
    assert len(found["accuracy"]["layers"]) > 2
    same = pocketbert("compare", str(work / "tiny"), str(work / "tiny"), "--json")
    differences = json.loads(same.stdout)
    assert [differences[part] for part in ("recipe", "versions", "graph", "sizes")] == [[]] * 4
    assert pocketbert("compare", str(work / "tiny"), str(work)).returncode == 2


def test_the_bundle_answers_tests_itself_and_is_scored(finished, tiny_data):
    _, work, _ = finished
    bundle = str(work / "tiny/bundle")
    answers = pocketbert("predict", bundle, text="a bright film\nthe plot is very dull\n\n")
    labels = [json.loads(line)["label"] for line in answers.stdout.splitlines()]
    assert labels[:2] == ["good", "bad"]
    assert len(labels) == 3  # an empty text is answered too
    assert pocketbert("selftest", bundle).returncode == 0
    reviews = str(tiny_data / "reviews.jsonl")
    scored = json.loads(pocketbert("eval", bundle, "--data", reviews, "--json").stdout)
    assert scored["scores"][0]["accuracy"]["value"] > 0.8


def test_a_student_that_learned_on_plain_text_goes_the_whole_way(finished, tiny_data):
    recipe, work, _ = finished
    general = f"""general={{
        texts: [{{source: {tiny_data / "reviews.jsonl"}}}], validation: 0.1,
        student: {{layers: 3}}, objectives: {{hidden: {{weight: 1.0}}}},
        training: {{epochs: 1, learning_rate: 1e-3, batch_size: 16}}}}"""
    changes = [general, "distill.student.init=general", "prune=null", "name=from-plain-text"]
    overrides = [word for change in changes for word in ("--set", change)]
    said = pocketbert("check", str(recipe), "--work", str(work), *overrides)
    assert "general-outputs: about" in said.stdout, said.stderr
    done = pocketbert("run", str(recipe), "--work", str(work), *overrides, "--json")
    assert done.returncode == 0, done.stderr
    stages = {stage["name"]: stage for stage in json.loads(done.stdout)["stages"]}
    assert stages["teacher"]["cached"]
    # The made-up checkpoint's layers do next to nothing: what is learned is tested elsewhere.
    assert stages["general-distill"]["summary"]["validation_loss"] < 0.1
    assert json.loads(done.stdout)["summary"]["engine_accuracy"] > 0.8
    # Another recipe names the checkpoint.
    folder = f"{stages['general-distill']['folder']}/model"
    named = ["--set", f"distill.student.init={folder}", "--until", "distill", "--set", "prune=null"]
    later = pocketbert("run", str(recipe), "--work", str(work), *named, "--json")
    assert later.returncode == 0, later.stderr
    assert json.loads(later.stdout)["stages"][-1]["summary"]["validation_accuracy"] > 0.8


def test_changed_bytes_of_the_cache_are_refused(finished, tmp_path):
    import shutil

    recipe, work, _ = finished
    copy = tmp_path / "runs"
    shutil.copytree(work, copy)
    weights = next((copy / "stages").glob("teacher-[0-9a-f]*/model/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused = pocketbert(
        "run", str(recipe), "--work", str(copy), "--set", "distill.student.layers=1"
    )
    assert refused.returncode == 2
    assert "model.safetensors" in refused.stderr
    assert "delete the folder" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("method", ["{method: l0, gate_learning_rate: 0.2", "{method: movement"])
def test_learned_scores_go_the_whole_way(finished, method):
    recipe, work, _ = finished
    training = "training: {epochs: 2, learning_rate: 1e-3, batch_size: 16}}"
    name = "l0" if "l0" in method else "movement"
    done = pocketbert(
        "run", str(recipe), "--work", str(work), "--set", f"name={name}",
        "--set", f"prune.scores={method}, {training}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Learn scores" in done.stderr
    assert "Distil " not in done.stderr  # the student is that of the recipe without scores
    summary = json.loads((work / name / "report.json").read_text())["summary"]
    assert summary["engine_accuracy"] > 0.8


def test_auto_ships_the_target_that_was_chosen(finished):
    recipe, work, _ = finished
    ended = pocketbert(
        "run", str(recipe), "--work", str(work), "--set", "name=chosen",
        "--set", "compile.target=auto", "--set", "compile.choose={rounds: 2, texts: 5}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = json.loads((work / "chosen" / "report.json").read_text())
    chosen = next(stage for stage in report["stages"] if stage["name"] == "choose")["summary"]
    manifest = json.loads((work / "chosen" / "bundle" / "manifest.json").read_text())
    assert [target["name"] for target in manifest["targets"]] == chosen["targets"]
    assert "Targets that were tried" in (work / "chosen" / "report.html").read_text()
    answer = pocketbert("selftest", str(work / "chosen" / "bundle"))
    assert answer.returncode == 0
    assert chosen["target"] in answer.stdout

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

COMMANDS = [
    "recipes",
    "show",
    "check",
    "run",
    "eval",
    "load",
    "predict",
    "selftest",
    "build",
    "serve",
    "export",
    "bench",
    "latency-table",
    "report",
    "doctor",
]


def pocketbert(*arguments, stdin: str | None = None, **environment):
    program = "from pocketbert.recipes.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", **environment},
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, tiny_checkpoint, tiny_data):
    from pocketbert.compress.folder import (
        ModelDescription,
        load_checkpoint,
        load_tokenizer,
        save_model,
    )
    from pocketbert.deploy.compile import compile_bundle
    from pocketbert.deploy.config import CompileConfig
    from pocketbert.deploy.export import export_onnx

    folder = tmp_path_factory.mktemp("cli")
    labels = ("bad", "good")
    model = load_checkpoint(tiny_checkpoint, labels).eval()
    tokenizer = load_tokenizer(tiny_checkpoint)
    save_model(model, tokenizer, ModelDescription(labels, 32), folder / "teacher/model")
    for name in ("exported", "compiled"):
        (folder / name).mkdir()
    export_onnx(out=folder / "exported", data=tiny_data, model=folder / "teacher")
    compile_bundle(
        out=folder / "compiled",
        config=CompileConfig(),
        data=tiny_data,
        exported=folder / "exported",
        quantized=None,
        lineage={},
        name="tiny",
    )
    return folder / "compiled/bundle"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command):
    shown = pocketbert(command, "--help")
    assert shown.returncode == 0
    assert f"pocketbert {command}" in shown.stdout.partition("Examples:")[2]
    assert "\x1b[" not in shown.stdout


def test_help_is_quick_and_lists_every_command():
    started = time.monotonic()
    shown = pocketbert("--help")
    assert time.monotonic() - started < 5  # under 1 s on an idle machine
    for command in COMMANDS:
        assert f" {command} " in shown.stdout
    assert "--install-completion" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["recipes"],
        ["show", "quickstart"],
        ["check", "quickstart"],
        ["doctor"],
        ["run", "--help"],
    ],
)
def test_no_command_that_only_looks_imports_a_heavy_library(arguments):
    program = (
        "import sys\nfrom pocketbert.recipes.cli import app\n"
        "try: app()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'scipy', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, timeout=120
    )


def test_completion_knows_recipes():
    program = Path(sys.executable).with_name("pocketbert")
    completed = subprocess.run(
        [program],
        env={
            **os.environ,
            "_POCKETBERT_COMPLETE": "complete_bash",
            "COMP_WORDS": "pocketbert run quick",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.split() == ["quickstart"]


def test_recipes_in_words_and_for_machines():
    assert "quickstart" in pocketbert("recipes").stdout
    listed = json.loads(pocketbert("recipes", "--json").stdout)
    assert {"quickstart", "sentiment_base", "sst2_hub"} <= {entry["name"] for entry in listed}


def test_what_show_prints_is_a_recipe_again(here):
    shown = pocketbert("show", "sentiment_base", "--set", "seed=4")
    (here / "again.yaml").write_text(shown.stdout)
    again = pocketbert("show", "again.yaml")
    assert again.stdout == shown.stdout
    assert yaml.safe_load(shown.stdout)["seed"] == 4


def test_a_mistake_is_a_sentence_without_a_traceback():
    wrong = pocketbert("run", "quickstart", "--set", "distill.student.layer=3")
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert wrong.stderr == (
        "1 problem in the recipe:\n"
        "--set distill.student.layer=3: distill.student.layer: unknown key, expected one of init, "
        "layers, hidden_size, intermediate_size, embedding_rank, bilstm, decoder_layers; did you "
        "mean 'layers'?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quickstrat"], "did you mean 'quickstart'?"),
        (["run"], "Missing argument 'RECIPE'"),
        (["run", "quickstart", "--untl", "data"], "No such option: --untl"),
        (["run", "quickstart", "--until", "distil"], "did you mean 'distill'?"),
        (["predict", "nowhere", "x"], "has no manifest.json, expected the folder of a bundle"),
        (["selftest", "nowhere"], "has no manifest.json, expected the folder of a bundle"),
        (["eval", "nowhere", "--data", "x.csv"], "nowhere holds nothing that can be measured"),
        (["report", "nowhere"], "expected the results of a run; run a recipe first"),
        (["compile"], "No such command 'compile'"),
    ],
)
def test_mistakes_of_the_user_end_with_2(here, arguments, message):
    wrong = pocketbert(*arguments)
    assert wrong.returncode == 2
    assert message in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert wrong.stdout == ""


def test_check_says_what_is_cached_and_how_large_models_will_be(write, here, tiny_checkpoint):
    (here / "reviews.csv").write_text("review,stars\nfine,positive\n")
    arguments = ["check", write(), "--set", f"teacher.model={tiny_checkpoint}", "--length", "10"]
    found = json.loads(pocketbert(*arguments, "--json").stdout)
    assert set(found["cached"].values()) == {False}
    assert found["models"]["student"]["length"] == 10
    assert "to do" in pocketbert(*arguments).stdout
    assert sorted(path.name for path in here.iterdir()) == ["reviews.csv", "small.yaml"]


def test_predict_answers_arguments_and_lines_alike(bundle):
    texts = ["a superb film", "", "dull"]
    given = pocketbert("predict", bundle, *texts)
    piped = pocketbert("predict", bundle, stdin="\n".join(texts) + "\n")
    assert given.stdout == piped.stdout
    answers = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    assert all(answer["label"] in ("bad", "good") for answer in answers)
    assert all(set(answer["probabilities"]) == {"bad", "good"} for answer in answers)


def test_predict_answers_a_line_before_the_next_one_comes(bundle):
    program = "from pocketbert.recipes.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "predict", str(bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for text in ("superb", "dull"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_selftest_passes_a_whole_bundle_and_refuses_a_changed_one(bundle, tmp_path):
    import shutil

    passed = pocketbert("selftest", bundle, "--json")
    assert (passed.returncode, json.loads(passed.stdout)["passed"]) == (0, True)
    assert "passed" in pocketbert("selftest", bundle).stdout
    broken = tmp_path / "bundle"
    shutil.copytree(bundle, broken)
    (broken / "tokenizer.json").write_text("{}")
    refused = pocketbert("selftest", broken)
    assert refused.returncode == 2
    assert "does not have the hash that the manifest states" in refused.stderr


def test_eval_measures_a_file(bundle, tmp_path):
    table = tmp_path / "mine.tsv"
    table.write_text("".join(f"{i}\tsuperb film\tgood\n{i}\tdull film\tbad\n" for i in range(6)))
    arguments = ["eval", bundle, "--data", table, "--text-column", 1, "--label-column", 2]
    score = pocketbert(*arguments, "--json", "--quiet")
    assert score.returncode == 0, score.stderr
    assert json.loads(score.stdout)["scores"][0]["examples"] == 12
    kept = tmp_path / "kept.parquet"
    assert "accuracy" in pocketbert(*arguments, "--save", kept).stdout
    compared = pocketbert("eval", kept, "--against", kept)
    assert "no measurable difference" in compared.stdout, compared.stderr
    assert "0 to wrong, 0 to right" in compared.stdout
    without_data = pocketbert("eval", bundle)
    assert (without_data.returncode, "give --data" in without_data.stderr) == (2, True)


def test_load_drives_a_bundle(bundle, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("text\nsuperb film\ndull film\n")
    arguments = ["load", bundle, "--data", table, "--seconds", 0.1, "--latency-ms", 1000]
    found = pocketbert(*arguments, "--out", tmp_path / "load", "--json", "--quiet")
    assert found.returncode == 0, found.stderr
    results = json.loads(found.stdout)
    assert [one["scenario"] for one in results] == ["single_stream", "offline", "server"]
    assert results[2]["bound_kept"] is True
    assert json.loads((tmp_path / "load" / "environment.json").read_text())["cpu"]


def test_quiet_says_nothing_on_the_way(write, here):
    rows = [f"text number {i} and more,{'positive' if i % 2 else 'negative'}" for i in range(200)]
    (here / "reviews.csv").write_text("\n".join(["review,stars", *rows]))
    path = write()
    loud = pocketbert("run", path, "--until", "data")
    assert "data: done in" in loud.stderr
    assert "stopped after data" in loud.stdout
    quiet = pocketbert(
        "run", path, "--until", "data", "--quiet", "--json", "--set", "task.max_length=9"
    )
    assert quiet.stderr == ""
    found = json.loads(quiet.stdout)
    assert (found["idle"], [stage["name"] for stage in found["stages"]]) == (False, ["data"])
    again = pocketbert("run", path, "--until", "data")
    assert "nothing to do: every stage is cached" in again.stdout


def test_colour_only_on_a_terminal(here):
    import pty

    def on_a_terminal(**environment):
        parent, child = pty.openpty()
        program = "from pocketbert.recipes.cli import main; main()"
        inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        with subprocess.Popen(
            [sys.executable, "-c", program, "check", "quickstart"],
            stdout=child,
            stderr=child,
            env={**inherited, "TERM": "xterm-256color", **environment},
        ) as process:
            os.close(child)
            shown = b""
            while True:
                try:
                    piece = os.read(parent, 4096)
                except OSError:  # the terminal's other end was closed
                    break
                if not piece:
                    break
                shown += piece
            process.wait(timeout=30)
        os.close(parent)
        return shown

    assert b"\x1b[" in on_a_terminal()
    assert b"\x1b[3" not in on_a_terminal(NO_COLOR="1")
    assert "\x1b[" not in pocketbert("check", "quickstart").stdout


def test_ctrl_c_says_how_to_go_on():
    program = (
        "import typer\nfrom pocketbert.recipes import cli\n"
        "@cli.app.command()\ndef stop():\n    raise KeyboardInterrupt\n"
        "cli.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "stop"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 130
    assert ended.stderr == "stopped; run the same command again to resume\n"


def test_results_are_reported_in_words_and_for_machines(here):
    interval = {"value": 0.9, "low": 0.88, "high": 0.92}
    report = {
        "recipe": {"name": "mine"},
        "summary": {
            "teacher_accuracy": 0.92,
            "engine_accuracy": 0.9,
            "retention": 0.98,
            "p50_ratio_pytorch": 12.0,
            "p50_ratio_onnxruntime": 6.0,
            "size_ratio": 9.0,
            "wall_s": 60.0,
        },
        "results": {
            "artifacts": [
                {
                    "artifact": {"title": "Engine, INT8"},
                    "accuracy": interval,
                    "to_teacher": {"retention": interval, "p50_ratio": 12.0},
                    "to_baseline": None,
                    "latency": {"p50_ms": 1.234},
                    "footprint": {"weights_bytes": 16_000_000},
                }
            ]
        },
    }
    for name in ("a", "b"):
        (here / name).mkdir()
        (here / name / "report.json").write_text(json.dumps(report))
    one = pocketbert("report", "a").stdout
    assert "Engine, INT8" in one
    assert "90.0 % (88.0 to 92.0)" in one
    assert "16.0 MB" in one
    assert pocketbert("report", "a", "b").stdout.count("mine") == 2
    machine = json.loads(pocketbert("report", "a", "b", "--json").stdout)
    assert [run["folder"] for run in machine] == ["a", "b"]
    assert machine[0]["retention"] == 0.98


def test_a_latency_table_is_measured_again_from_the_command_line(tmp_path):
    curve = {"widths": [0, 1], "ms": [1.0, 2.0]}
    old = {
        "hidden_size": 16, "head_size": 8, "tokens": 4, "threads": 1, "precision": "float32",
        "machine": "another", "attention": curve, "last_attention": curve,
        "feed_forward": {"widths": [0, 32], "ms": [1.0, 2.0]},
        "last_feed_forward": {"widths": [0, 32], "ms": [1.0, 2.0]},
    }  # fmt: skip
    (tmp_path / "old.json").write_text(json.dumps(old))
    shown = pocketbert(
        "latency-table", tmp_path / "old.json", "--out", tmp_path / "new.json", "--json", "-q"
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == json.loads((tmp_path / "new.json").read_text())
    assert json.loads(shown.stdout)["machine"] != "another"
    missing = pocketbert("latency-table", tmp_path / "gone.json", "--out", tmp_path / "x.json")
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False)
    assert "gone.json is no latency table" in missing.stderr

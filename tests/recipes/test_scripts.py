"""Scripts that make data: what they say of a mistake."""

import os
import subprocess
import sys

import pytest

SCRIPTS = ("make_headlines", "make_help_pairs", "make_intents", "make_questions", "make_slots")


def run(script, *arguments, environment=None):
    command = [sys.executable, "-m", f"pocketbert.recipes.{script}", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | (environment or {})
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_paths_the_usage_is_told(script):
    done = run(script)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"usage: {script}.py" in done.stderr
    assert "the following arguments are required" in done.stderr


def test_a_missing_file_and_a_wrong_one_are_a_sentence(tmp_path):
    missing = run("make_questions", tmp_path / "none.txt", tmp_path / "out.json")
    assert missing.returncode == 2
    assert missing.stderr == (
        f"error: {tmp_path / 'none.txt'} cannot be used (No such file or directory), expected "
        "another path\n"
    )
    no_package = tmp_path / "english.deb"
    no_package.write_text("no package")
    wrong = run("make_help_pairs", no_package, no_package, tmp_path / "pairs")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ")
    assert wrong.stderr.count("\n") == 1
    assert not any((tmp_path / "pairs").glob("*"))


@pytest.mark.parametrize("script", ["make_intents", "make_slots"])
def test_a_missing_library_is_a_sentence(script, tmp_path):
    (tmp_path / "hassil.py").write_text("raise ModuleNotFoundError('no hassil', name='hassil')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = run(script, tmp_path / "made", environment={"PYTHONPATH": path})
    assert done.returncode == 2
    assert done.stderr == (
        "error: the templates of home-assistant-intents need hassil, which is not installed, "
        "expected the intents extra; run pip install 'pocketbert[intents]'\n"
    )
    assert not (tmp_path / "made").exists()

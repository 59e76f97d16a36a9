"""Questions that are made of plain text."""

import json
import os
import subprocess
import sys

import pytest

from pocketbert.compress.config import DataConfig, TaskConfig
from pocketbert.compress.data import prepare_data
from pocketbert.compress.errors import DataError
from pocketbert.recipes.make_questions import make_questions

TOWNS = ["Arnheim", "Belmont", "Corrin", "Dunmore", "Elsdorf", "Farholt", "Glenby", "Harwick"]
TEXT = "\n\n".join(
    f"Long ago a small town by the river was called {town} in the chronicles.\nIt had "
    f"about {300 + number} houses and a very old stone bridge. It was quiet there."
    for number, town in enumerate(TOWNS * 3)
)


def test_every_answer_stands_once_in_its_context():
    made = make_questions(TEXT)
    assert "made" in made["data"][0]["title"]
    paragraphs = made["data"][0]["paragraphs"]
    asked = [(one["context"], each) for one in paragraphs for each in one["qas"]]
    impossible = [each for _, each in asked if each.get("is_impossible")]
    assert 0 < len(impossible) < len(asked) / 2
    for context, each in asked:
        for answer in each["answers"]:
            start = answer["answer_start"]
            assert context[start : start + len(answer["text"])] == answer["text"]
            assert context.count(answer["text"]) == 1
            assert answer["text"] not in each["question"]
            assert "what" in each["question"]
            assert each["question"].endswith("?")


def test_the_same_text_gives_the_same_questions():
    assert make_questions(TEXT, 3) == make_questions(TEXT, 3)
    assert make_questions(TEXT, 3) != make_questions(TEXT, 4)


def test_a_text_without_names_is_refused():
    with pytest.raises(DataError, match="has 0 paragraphs with a name or a number"):
        make_questions("Nothing here.\n\nNor here, as far as anybody could possibly tell today.")


def test_the_command_writes_what_the_data_stage_reads(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    command = [sys.executable, "-m", "pocketbert.recipes.make_questions", "text.txt", "asked.json"]
    subprocess.run(command, cwd=tmp_path, check=True, env=dict(os.environ))
    assert json.loads((tmp_path / "asked.json").read_text())["version"] == "v2.0"
    config = DataConfig(train=str(tmp_path / "asked.json"), validation=0.2, test=0.2)
    task = TaskConfig(kind="question-answering")
    said = prepare_data(config=config, task=task, out=tmp_path)
    assert said["class_counts"]["train"]["answered"] > 10

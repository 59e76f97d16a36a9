"""That an answer depends on what is asked: with an encoder that has read, not a tiny one.

A tiny random encoder learns which words are answers, not which of them was asked for; so the other
tests of questions would pass with a model that does not read the question.
"""

import random
from dataclasses import replace
from typing import Any

import pytest

from pocketbert.compress.config import ColumnsConfig, TaskConfig, TeacherConfig
from pocketbert.compress.teacher import train_teacher
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.recipes.load import load_recipe

from .conftest import LEARNT, Case, prepare

NAMES = [
    *("Anna", "Tom", "Maria", "Peter", "Laura", "David", "Nina", "Paul", "Clara", "Simon"),
    *("Julia", "Mark", "Emma", "Felix", "Sarah", "Martin"),
]
PLACES = [
    *("Paris", "London", "Berlin", "Rome", "Madrid", "Vienna", "Prague", "Oslo", "Dublin"),
    *("Athens", "Lisbon", "Boston", "Chicago", "Cairo", "Tokyo", "Delhi"),
]
CONTEXTS = 40


def two_who_live_somewhere(draw: random.Random) -> tuple[str, list[tuple[str, str]]]:
    """A context, and two questions about it with their answers."""
    (one, other), (here, there) = draw.sample(NAMES, 2), draw.sample(PLACES, 2)
    context = f"{one} lives in {here}. {other} lives in {there}."
    return context, [(f"Where does {who} live?", at) for who, at in ((one, here), (other, there))]


def row(draw: random.Random) -> dict[str, Any]:
    context, asked = two_who_live_somewhere(draw)
    question, answer = draw.choice(asked)
    label = {"text": [answer], "answer_start": [context.index(answer)]}
    return {"text": question, "pair": context, "label": label}


@pytest.mark.slow
def test_two_questions_on_one_context_get_their_own_answers(tmp_path):
    draw = random.Random(0)
    task = TaskConfig(kind="question-answering", labels=(), max_length=48)
    rows = [row(draw) for _ in range(420)]
    case = Case(task, rows, None, "", columns=ColumnsConfig(pair="pair"))
    folders = {name: tmp_path / name for name in ("data", "teacher", "exported")}
    for folder in folders.values():
        folder.mkdir()
    data = prepare(case, rows, folders["data"])
    model = load_recipe("questions").teacher.model
    training = replace(LEARNT, epochs=4, learning_rate=2e-4)
    config = TeacherConfig(model=model, training=training)
    train_teacher(config=config, seed=0, data=data, out=folders["teacher"])
    export_onnx(data=data, model=folders["teacher"], out=folders["exported"])
    engine = Engine.from_onnx(
        folders["exported"], ("start", "end"), 48, kind=task.kind, truncation=task.long_texts
    )
    contexts = [two_who_live_somewhere(draw) for _ in range(CONTEXTS)]
    right = 0
    for context, asked in contexts:
        answers = engine([(question, context) for question, _ in asked])
        right += [one.text for one in answers] == [answer for _, answer in asked]
    assert right >= 0.9 * CONTEXTS

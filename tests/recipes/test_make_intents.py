"""Sentences that are made of templates, all of a template on one side of a split."""

import csv
import json
import random

import pytest

from pocketbert.compress.errors import DataError
from pocketbert.recipes.make_intents import (
    FEWEST_TEMPLATES,
    HOME,
    Grammar,
    make_intents,
    write_intents,
)

GRAMMAR = Grammar(
    rules={"please": "[please ]<turn>", "turn": "(turn|switch)"},
    lists={
        "colour": {"values": [{"in": "(light|dark) red", "out": "red"}, "blue"]},
        "level": {"range": {"from": 10, "to": 30, "step": 10}},
        "open": {"wildcard": True},
    },
    home={"name": ("lamp", "fan")},
)


def sentences(template):
    draw = random.Random(0)
    return {GRAMMAR.sentence(template, draw) for _ in range(200)}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<please> on", {"turn on", "switch on", "please turn on", "please switch on"}),
        ("the {name:device}s", {"the lamps", "the fans"}),
        ("{colour}", {"light red", "dark red", "blue"}),
        ("to {level:percent}", {"to 10", "to 20", "to 30"}),
        ("(now;on)", {"now on", "on now"}),
    ],
)
def test_a_template_stands_for_these_sentences(template, expected):
    assert sentences(template) == expected


def test_what_is_open_and_not_ours_is_refused():
    with pytest.raises(DataError, match=r"a template has \{open\}, expected one of name or a list"):
        sentences("play {open}")


@pytest.fixture
def package(tmp_path):
    """Templates of two intents in every language; the second has too few in one of them."""
    for language in HOME:
        few = FEWEST_TEMPLATES - (language == "fr")
        content = {
            "language": language,
            "intents": {
                "On": {"data": [{"sentences": [f"{language} on {n} {{name}}" for n in range(60)]}]},
                "Off": {"data": [{"sentences": [f"{language} off {n}" for n in range(few)]}]},
            },
            "lists": {},
            "expansion_rules": {},
        }
        (tmp_path / f"{language}.json").write_text(json.dumps(content))
    return tmp_path


def test_a_template_is_in_one_split_only(package):
    made = make_intents(package)
    assert made == make_intents(package)
    templates = {
        split: {" ".join(text.split()[:3]) for text, _, _ in rows} for split, rows in made.items()
    }
    assert all(templates.values())
    assert sum(map(len, templates.values())) == len(set.union(*templates.values())) == 60 * 4
    everything = [row for rows in made.values() for row in rows]
    assert {intent for _, intent, _ in everything} == {"On"}
    assert {language for _, _, language in everything} == set(HOME)
    assert len({text for text, _, _ in everything}) == len(everything) > 2 * 60 * 4


def test_the_tables_have_a_column_for_the_language(package, tmp_path):
    write_intents(package, tmp_path / "made")
    table = (tmp_path / "made" / "test.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert set(rows[0]) == {"text", "label", "language"}
    assert {row["language"] for row in rows} == set(HOME)

"""Which sentences a template stands for, and what was drawn in each."""

import random

import pytest

from pocketbert.compress.errors import DataError
from pocketbert.recipes.command_templates import Grammar, Sentence, templates_by_intent

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


def texts(template):
    return {one.text for one in sentences(template)}


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
    assert texts(template) == expected


def test_what_is_open_and_not_ours_is_refused():
    with pytest.raises(DataError, match=r"a template has \{open\}, expected one of name or a list"):
        sentences("play {open}")


def test_a_sentence_knows_the_lists_it_was_drawn_of_and_no_others():
    found = sentences("<please> [the {name}] (in {colour}|to {level})")
    assert {one.lists for one in found} == {
        frozenset({"name", "colour"}),
        frozenset({"name", "level"}),
        frozenset({"colour"}),
        frozenset({"level"}),
    }
    for one in found:
        words = set(one.text.split())
        assert ("name" in one.lists) == bool(words & {"lamp", "fan"})
        assert ("level" in one.lists) == ("to" in words)
    assert sentences("on") == {Sentence("on")}


def test_an_intent_has_each_of_its_templates_once():
    content = {"intents": {"On": {"data": [{"sentences": ["a", "b"]}, {"sentences": ["b"]}]}}}
    assert list(templates_by_intent(content)) == [("On", ["a", "b"])]

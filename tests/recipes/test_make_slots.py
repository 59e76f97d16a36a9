"""Commands with labels for what was filled in, all of a template on one side of a split."""

import csv
import json

import pytest

from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.make_slots import HOMES, LABELS, make_slots, write_slots

LISTS = {"on_off_states": {"values": ["on", "off"]}, "brightness": {"range": {"from": 1, "to": 9}}}


@pytest.fixture
def package(tmp_path):
    """Templates of three intents, the last of which has something open that is not drawn."""
    kinds = {
        "Turn": "{n} turn the {name} [in the {area}]",
        "Ask": "{n} is the {name} {on_off_states:state} by {zone}",
        "Dim": "{n} dim to {brightness}",
        "HassBroadcast": "{n} say {message}",
    }
    content = {
        "intents": {
            intent: {"data": [{"sentences": [kind.replace("{n}", f"n{n}") for n in range(60)]}]}
            for intent, kind in kinds.items()
        },
        "lists": LISTS,
        "expansion_rules": {},
    }
    (tmp_path / "en.json").write_text(json.dumps(content))
    return tmp_path


def test_a_command_has_a_label_for_each_thing_that_was_filled_in(package):
    made = make_slots(package)
    assert made == make_slots(package)
    for split, rows in made.items():
        home = HOMES[split]
        assert {intent for _, _, intent in rows} == {"Turn", "Ask", "Dim"}
        assert {label for _, label, _ in rows} == {
            "device",
            "area,device",
            "device,state",
            "amount",
        }
        for text, labels, _ in rows:
            named = set(labels.split(","))
            assert ("device" in named) == any(one in text for one in home["name"])
            assert ("area" in named) == any(text.endswith(f"in the {one}") for one in home["area"])


def test_templates_and_what_a_home_has_are_of_one_split_only(package):
    made = make_slots(package)
    templates = [{(text.split()[0], intent) for text, _, intent in rows} for rows in made.values()]
    assert all(templates)
    assert sum(map(len, templates)) == len(set.union(*templates)) == 3 * 60
    for kind in HOMES["train"]:
        values = [set(home[kind]) for home in HOMES.values()]
        assert sum(map(len, values)) == len(set.union(*values)), kind


def test_the_tables_are_what_the_recipe_reads(package, tmp_path):
    recipe = load_recipe("home_slots")
    assert recipe.task.labels == tuple(LABELS)
    write_slots(package, tmp_path / "made")
    table = (tmp_path / "made" / "test.csv").read_text(encoding="utf-8")
    row = next(csv.DictReader(table.splitlines()))
    assert {recipe.data.columns.text, recipe.data.columns.label} < set(row)

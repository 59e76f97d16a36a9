"""Sentences that are made of templates, all of a template on one side of a split."""

import csv
import json

import pytest

from pocketbert.recipes.make_intents import FEWEST_TEMPLATES, HOME, make_intents, write_intents


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

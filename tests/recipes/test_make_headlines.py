"""Pairs of headlines and openings that words alone do not tell apart."""

import csv
from collections import Counter

import pytest

from pocketbert.compress.errors import DataError
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.make_headlines import make_headlines, write_headlines

TOPICS = ("sports", "tech")
NUMBERS = range(60)


def write_article(folder, topic, name, headline, opening):
    path = folder / topic / f"{name}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{headline}\n\n{opening}\n\nAnd more.\n", encoding="utf-8")


@pytest.fixture
def news(tmp_path):
    """Articles of two topics; of each topic those of one place share a word."""
    folder = tmp_path / "news"
    folder.mkdir()
    for topic in TOPICS:
        for number in NUMBERS:
            opening = f"In place{number % 10} it costs £{number} said the people of {topic} today"
            write_article(folder, topic, number, f"{topic} headline {number}", opening)
    return folder


def test_every_part_is_in_one_pair_of_each_label(news):
    made = make_headlines(news)
    assert made == make_headlines(news)
    for rows in made.values():
        assert len(set(rows)) == len(rows) > 0
        for place in (0, 1):
            assert set(Counter((row[place], row[2]) for row in rows).values()) == {1}
        for headline, opening, label, topic in rows:
            own = f" it costs £{headline.split()[-1]} said"
            assert (own in opening) == (label == "same")
            assert headline.startswith(topic)  # a twin is of the same topic
            assert topic in opening
    # An odd one of a topic and split has no twin.
    assert 120 - 6 <= sum(map(len, made.values())) / 2 <= 120


def test_no_part_is_in_two_splits(news):
    parts = [{part for row in rows for part in row[:2]} for rows in make_headlines(news).values()]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_twins_share_the_rare_words(news):
    """Those of one place, wherever a split has two of them."""
    for rows in make_headlines(news).values():
        for topic in TOPICS:
            of_topic = [row for row in rows if row[3] == topic]
            own = {head: text.split()[1] for head, text, label, _ in of_topic if label == "same"}
            twin = {head: text.split()[1] for head, text, label, _ in of_topic if label == "other"}
            apart = Counter(own[head] for head in own if own[head] != twin[head])
            assert set(apart.values()) <= {1}


def test_what_stood_in_another_article_is_left_out(news):
    opening = "In place1 it costs £1 said the people of sports today"
    write_article(news, "tech", "again", "another headline", opening)
    write_article(
        news,
        "tech",
        "once more",
        "Tech  headline 2",
        "These are eight words that nobody wrote before",
    )
    write_article(news, "tech", "short", "a third headline", "A subtitle")
    for row in (row for rows in make_headlines(news).values() for row in rows):
        assert row[0] not in ("another headline", "Tech headline 2", "a third headline")


def test_the_tables_are_what_the_recipe_reads(news, tmp_path):
    recipe = load_recipe("headlines")
    columns = recipe.data.columns
    write_headlines(news, tmp_path / "made")
    for split in ("train", "validation", "test"):
        table = (tmp_path / "made" / f"{split}.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(table.splitlines()))
        assert {columns.text, columns.pair, columns.label} < set(rows[0])
        assert {row["label"] for row in rows} == set(recipe.task.labels)


def test_too_few_articles_are_said(news):
    for path in list(news.glob("*/*.txt"))[4:]:
        path.unlink()
    with pytest.raises(
        DataError, match=r"has 4 articles, which leaves none for .*, expected a fold"
    ):
        make_headlines(news)

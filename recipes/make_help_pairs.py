"""Makes pairs of sentences out of LibreOffice's help in two languages, for translation.

`python -m pocketbert.recipes.make_help_pairs ENGLISH.deb CHINESE.deb OUT` reads two Debian packages
as data and writes `train.jsonl`, `validation.jsonl` and `test.jsonl`. Paragraphs have the same
identifier in every language, which aligns them. A page is in one split as a whole; what stands on
a page of the training split too, in either language, is left out of the others.
"""

import json
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from pocketbert.compress.archives import unpack
from pocketbert.compress.data import write_text
from pocketbert.compress.errors import DataError
from pocketbert.compress.split import Split, choose_split, normalise

from .script import run_script

PAGES = "data.tar.xz!./usr/share/libreoffice/help/{language}/text/"
ENGLISH, CHINESE = "en-US", "zh-CN"
TAGS = ("p", "h1", "h2", "h3", "h4")
HELD_OUT = {"validation": 0.03, "test": 0.09}  # of the pages
FEWEST_WORDS, MOST_WORDS = 3, 8
MOST_CHARACTERS = 20  # of the Chinese side
HAN = ("\u4e00", "\u9fff")


def make_pairs(english: Path, chinese: Path) -> dict[Split, list[dict[str, str]]]:
    """Return rows of `text`, `label` (its translation) and `page` for each split.

    Args:
        english: The package libreoffice-help-en-us.
        chinese: The package libreoffice-help-zh-cn of the same version.

    Raises:
        DataError: A file is no such package, or both have no paragraph in common.
    """
    splits: dict[Split, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for row in _aligned(english, chinese):
        splits[choose_split(row["page"], **HELD_OUT)].append(row)
    kept: dict[Split, list[dict[str, str]]] = {}
    seen: set[str] = set()
    for split, rows in splits.items():
        kept[split] = []
        for row in rows:
            sides = {f"{side} {normalise(row[side])}" for side in ("text", "label")}
            # In training a sentence may be translated twice in different ways, but not one way.
            if not (sides <= seen if split == "train" else sides & seen):
                kept[split].append(row)
            seen |= sides
    if not all(kept.values()):
        raise DataError(
            f"{english} and {chinese} have too few paragraphs in common, expected packages of "
            "LibreOffice's help of one version in English and Chinese"
        )
    return kept


def _aligned(english: Path, chinese: Path) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / language for language in (ENGLISH, CHINESE)]
        for package, folder in zip((english, chinese), folders, strict=True):
            unpack(package, PAGES.format(language=folder.name), folder)
        for page in sorted(folders[0].rglob("*.html")):
            name = page.relative_to(folders[0])
            if not (folders[1] / name).is_file():
                continue
            ours, theirs = (paragraphs((folder / name).read_text("utf-8")) for folder in folders)
            for identifier, text in ours.items():
                translation = theirs.get(identifier, "")
                if _fit(text, translation):
                    yield {"text": text, "label": translation, "page": name.as_posix()}


def _fit(text: str, translation: str) -> bool:
    """Say whether two paragraphs are short ones of which the second is in Chinese."""
    han = sum(HAN[0] <= letter <= HAN[1] for letter in translation)
    short = FEWEST_WORDS <= len(text.split()) <= MOST_WORDS and len(translation) <= MOST_CHARACTERS
    return short and 2 * han >= len(translation)


def paragraphs(page: str) -> dict[str, str]:
    """Return the text of each paragraph of an HTML page by its identifier."""
    reader = _Reader()
    reader.feed(page)
    return {name: text for name, words in reader.found.items() if (text := " ".join(words.split()))}


class _Reader(HTMLParser):
    """Collects what stands inside of paragraphs and headings with an identifier."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.inside: tuple[str, str] | None = None  # tag and identifier

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        identifier = dict(attrs).get("id")
        if tag in TAGS and identifier and self.inside is None:
            self.inside = tag, identifier
            self.found[identifier] = ""

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[0]:
            self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[self.inside[1]] += data


def main(english: Path, chinese: Path, out: Path) -> None:
    """Write the three files."""
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in make_pairs(english, chinese).items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(out / f"{split}.jsonl", lines)


if __name__ == "__main__":
    run_script(
        main,
        __doc__,
        english="the package libreoffice-help-en-us",
        chinese="libreoffice-help-zh-cn of the same version",
        out="folder that gets the three files",
    )

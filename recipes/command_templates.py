"""Templates of Home Assistant's voice commands, and the sentences that they stand for.

hassil, which reads them, is imported where it is needed, so that `fetch_templates` can say that it
is missing.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pocketbert.compress.config import PackageSource
from pocketbert.compress.errors import DataError, UserError
from pocketbert.compress.fetch import fetch_package

from .load import load_catalogue

SOURCE = "home-assistant-intents"


@dataclass(frozen=True)
class Sentence:
    """One of the sentences of a template.

    Attributes:
        text: What is said.
        lists: The lists that a value was drawn of, by name.
    """

    text: str
    lists: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grammar:
    """What templates of a language refer to.

    Attributes:
        rules: Templates by name.
        lists: As the package has them: values that are templates, or a range of numbers.
        home: Values of what it leaves open.
    """

    rules: Mapping[str, str]
    lists: Mapping[str, Any]
    home: Mapping[str, Sequence[str]]

    def sentence(self, template: str, draw: random.Random) -> Sentence:
        """Return one of the sentences that a template stands for."""
        said = self._read(template, draw)
        return Sentence(" ".join(said.text.split()), said.lists)

    def _read(self, template: str, draw: random.Random) -> Sentence:
        from hassil.parse_expression import parse_sentence

        return self._say(parse_sentence(template).expression, draw)

    def _say(self, part: Any, draw: random.Random) -> Sentence:
        from hassil import expression as parts

        match part:
            case parts.TextChunk():
                return Sentence(str(part.original_text))
            case parts.Alternative():
                return self._say(draw.choice(part.items), draw)
            case parts.Permutation():
                mixed = draw.sample(part.items, k=len(part.items))
                return _joined(self._say(one, draw) for one in mixed)
            case parts.Group():
                return _joined(self._say(one, draw) for one in part.items)
            case parts.RuleReference():
                return self._read(self.rules[part.rule_name], draw)
            case parts.ListReference():
                value = self._value(part.list_name, draw)
                return Sentence(value.text, value.lists | {part.list_name})
        raise TypeError(f"{part} is no part of a template")

    def _value(self, name: str, draw: random.Random) -> Sentence:
        if name in self.home:
            return Sentence(draw.choice(self.home[name]))
        values = self.lists.get(name, {})
        if "values" in values:
            value = draw.choice(values["values"])
            return self._read(value if isinstance(value, str) else value["in"], draw)
        if "range" in values:
            numbers = values["range"]
            number = draw.randrange(numbers["from"], numbers["to"] + 1, numbers.get("step", 1))
            return Sentence(str(number))
        raise DataError(
            f"a template has {{{name}}}, expected one of {', '.join(self.home)} or a list of the "
            "package; add it to the home in the script"
        )


def _joined(sentences: Iterable[Sentence]) -> Sentence:
    found = list(sentences)
    return Sentence(
        "".join(one.text for one in found), frozenset().union(*(one.lists for one in found))
    )


def read_language(folder: Path, language: str) -> dict[str, Any]:
    """Return what the package has of a language: intents, lists and rules."""
    content: dict[str, Any] = json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
    return content


def templates_by_intent(content: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield every intent of a language with its distinct templates."""
    for intent, described in content["intents"].items():
        sentences = (one for block in described["data"] for one in block["sentences"])
        yield intent, list(dict.fromkeys(sentences))


def fetch_templates() -> Path:
    """Return the folder of the package's templates, a JSON file for each language.

    Raises:
        UserError: hassil, which is to read them, is not installed.
    """
    try:
        import_module("hassil")
    except ImportError as error:
        raise UserError(
            f"the templates of {SOURCE} need hassil, which is not installed, expected the intents "
            "extra; run pip install 'pocketbert[intents]'"
        ) from error
    source = load_catalogue(Path(__file__).parent)[SOURCE]
    assert isinstance(source, PackageSource)
    return fetch_package(source)

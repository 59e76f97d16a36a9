"""Makes sentences out of templates: `python -m pocketbert.recipes.make_intents FOLDER`.

The templates are those of Home Assistant's voice commands, of which the package
home-assistant-intents has some for each intent and language. Rooms and devices are each home's own,
so that a few stand here. All sentences of a template go to one file of train.csv, validation.csv
and test.csv, whose columns are text, label and language.
"""

import random
from pathlib import Path

from pocketbert.compress.data import SPLITS
from pocketbert.compress.split import choose_split

from .command_templates import Grammar, fetch_templates, read_language, templates_by_intent
from .script import run_script, write_tables

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


def make_intents(folder: Path, seed: int = 0) -> dict[str, list[tuple[str, str, str]]]:
    """Return text, intent and language of every sentence, by split.

    Args:
        folder: The package's templates, a JSON file for each language.
        seed: Draws the sentences.

    Raises:
        DataError: A template has something open that nothing here stands for.
    """
    draw = random.Random(seed)
    found = {language: read_language(folder, language) for language in HOME}
    templates = {language: dict(templates_by_intent(found[language])) for language in HOME}
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
                texts = {grammar.sentence(template, draw).text for _ in range(PER_TEMPLATE)}
                rows = [(text, intent, language) for text in sorted(texts)]
                made[choose_split(template, **HELD_OUT)] += rows
    return made


def write_intents(folder: Path, out: Path) -> None:
    """Write the three tables of the templates in a folder."""
    write_tables(out, ("text", "label", "language"), make_intents(folder))


def main(out: Path) -> None:
    """Fetch the package and write its sentences."""
    write_intents(fetch_templates(), out)


if __name__ == "__main__":
    run_script(main, __doc__, folder="gets the three tables")

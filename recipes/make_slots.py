"""Makes commands and what they name: `python -m pocketbert.recipes.make_slots FOLDER`.

The templates are the English ones of Home Assistant's voice commands, in the package
home-assistant-intents. What a template leaves open is filled with a value of a list, and the label
is the kind of thing that the list is of: a command has some of the labels, or none. All sentences
of a template go to one file of train.csv, validation.csv and test.csv, whose columns are text,
labels and intent. Rooms, devices and other things of a home's own stand here, others in each file,
so that a name has to be told from its place in the sentence.
"""

import random
from pathlib import Path

from pocketbert.compress.data import SPLITS
from pocketbert.compress.labelling.many_labels import SEPARATOR
from pocketbert.compress.split import Split, choose_split

from .command_templates import Grammar, fetch_templates, read_language, templates_by_intent
from .script import run_script, write_tables

PER_TEMPLATE = 6
HELD_OUT = {"validation": 0.1, "test": 0.2}  # of the templates
# Their `name` is of no device, or they hold free text.
LEFT_OUT = {
    "HassBroadcast",
    "HassGetWeather",
    "HassListAddItem",
    "HassListCompleteItem",
    "HassListRemoveItem",
    "HassMediaSearchAndPlay",
    "HassShoppingListAddItem",
    "HassShoppingListCompleteItem",
}
# Label -> the lists of its kind of thing; of other lists come words without a label.
LABELS = {
    "amount": (
        "brightness",
        "brightness_level",
        "fan_speed",
        "position",
        "temperature",
        "volume",
        "volume_step_down",
        "volume_step_up",
    ),
    "area": ("area",),
    "color": ("color", "color_temperature", "color_temperature_names"),
    "cover": ("cover_classes",),
    "device": ("name",),
    "duration": ("timer_half", "timer_hours", "timer_minutes", "timer_seconds"),
    "floor": ("floor",),
    "state": (
        "bs_occupancy_states",
        "bs_open_states",
        "cover_states",
        "lock_states",
        "on_off_states",
    ),
    "timer": ("timer_name",),
}
HOMES: dict[Split, dict[str, tuple[str, ...]]] = {
    "train": {
        "name": (
            "ceiling lamp",
            "desk fan",
            "front door",
            "coffee machine",
            "television",
            "reading light",
            "dishwasher",
            "garden hose",
            "alarm clock",
            "robot",
            "radiator",
            "speaker",
        ),
        "area": (
            "kitchen",
            "bedroom",
            "living room",
            "garage",
            "office",
            "hallway",
            "nursery",
            "cellar",
            "porch",
            "dining room",
        ),
        "floor": ("ground floor", "first floor", "basement", "upstairs"),
        "timer_name": ("pizza", "laundry", "tea", "homework", "bread", "nap"),
        "timer_command": ("say good night", "play some music", "wake me up"),
        "zone": ("work", "school", "home"),
    },
    "validation": {
        "name": ("toaster", "bedside lamp", "back door", "printer", "heater"),
        "area": ("bathroom", "library", "pantry", "workshop"),
        "floor": ("top floor", "lower floor"),
        "timer_name": ("pasta", "yoga"),
        "timer_command": ("tell me a joke",),
        "zone": ("the gym",),
    },
    "test": {
        "name": (
            "kettle",
            "floor lamp",
            "garden gate",
            "washing machine",
            "stereo",
            "humidifier",
            "fairy lights",
            "oven",
        ),
        "area": ("attic", "guest room", "conservatory", "study", "laundry room", "terrace"),
        "floor": ("second floor", "loft", "upper floor"),
        "timer_name": ("eggs", "meditation", "roast", "parking"),
        "timer_command": ("read the news", "remind me to stretch"),
        "zone": ("the club", "the airport"),
    },
}


def make_slots(folder: Path, seed: int = 0) -> dict[Split, list[tuple[str, str, str]]]:
    """Return text, labels and intent of every command, by split.

    Args:
        folder: The package's templates, a JSON file for each language.
        seed: Draws the sentences.

    Raises:
        DataError: A template has something open that nothing here stands for.
    """
    draw = random.Random(seed)
    said = read_language(folder, "en")
    grammars = {
        split: Grammar(said["expansion_rules"], said["lists"], home)
        for split, home in HOMES.items()
    }
    made: dict[Split, list[tuple[str, str, str]]] = {split: [] for split in SPLITS}
    for intent, templates in templates_by_intent(said):
        for template in templates if intent not in LEFT_OUT else ():
            split = choose_split(template, **HELD_OUT)
            sentences = [grammars[split].sentence(template, draw) for _ in range(PER_TEMPLATE)]
            labels = {sentence.text: labels_of(sentence.lists) for sentence in sentences}
            made[split] += [(text, labels[text], intent) for text in sorted(labels)]
    return made


def labels_of(lists: frozenset[str]) -> str:
    """Return the labels of what was drawn of these lists, as a cell of a table."""
    return SEPARATOR.join(label for label, kinds in LABELS.items() if lists.intersection(kinds))


def write_slots(folder: Path, out: Path) -> None:
    """Write the three tables of the templates in a folder."""
    write_tables(out, ("text", "labels", "intent"), make_slots(folder))


def main(out: Path) -> None:
    """Fetch the package and write its commands."""
    write_slots(fetch_templates(), out)


if __name__ == "__main__":
    run_script(main, __doc__, folder="gets the three tables")

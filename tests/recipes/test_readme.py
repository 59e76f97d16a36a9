"""The reference in recipes/README.md says every key and its default, and nothing else."""

import dataclasses
import re
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from pocketbert.recipes.expectations import members
from pocketbert.recipes.load import SHIPPED, load_recipe, shipped_recipes
from pocketbert.recipes.schema import Recipe

PAGE = (SHIPPED / "README.md").read_text()
# Sections that several have in common -> under which name the page lists their keys.
SHARED = {"training": (), "objectives": (), "student": ("distill",), "decoder": ("teacher",)}


def keys_of(section: Any, path: tuple[str, ...] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    hints = get_type_hints(section)
    for field in dataclasses.fields(section):
        inside = [
            get_args(k)[0] if get_origin(k) is tuple else k for k in members(hints[field.name])
        ]
        kind: Any = next((k for k in inside if dataclasses.is_dataclass(k)), None)
        if kind is not None and kind.__name__ != "PackageSource":
            below = SHARED.get(field.name, path)
            found |= keys_of(kind, (*below, field.name))
        else:
            found[".".join((*path, field.name))] = shown(field.default)
    return found


def shown(default: object) -> str:
    if default is dataclasses.MISSING:
        return "-"
    if default == ():
        return "none"
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


def test_every_key_is_there_with_its_default():
    written = dict(re.findall(r"^\| `([a-z0-9_.]+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    for recipe in shipped_recipes():
        del written[recipe]
    files = [key for key in written if key.endswith((".py", ".yaml"))]
    for file in files:
        del written[file]
    expected = keys_of(Recipe) | {"name": "the file's name"}
    assert written == expected


def test_the_catalogue_lists_what_ships():
    assert re.findall(r"^\| `(\w+)` \| .* measured \|$", PAGE, re.MULTILINE) is not None
    for name in shipped_recipes():
        assert f"| `{name}` |" in PAGE


def test_the_example_of_an_own_recipe_loads(here):
    example = PAGE.partition("## A recipe of your own\n")[2].lstrip("\n")
    lines = example.partition("\n\n")[0].splitlines()
    text = "\n".join(line.removeprefix("    ") for line in lines)
    assert yaml.safe_load(text)["extends"] == "quickstart"
    (here / "own.yaml").write_text(text)
    recipe = load_recipe("own.yaml")
    assert (recipe.name, recipe.prune, recipe.task.labels) == (
        "own",
        None,
        ("question", "complaint"),
    )

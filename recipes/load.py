"""From a recipe's name or file and the command line's overrides to a Recipe."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocketbert.compress.config import PINS, STRICT, PackageFile, PackageSource
from pocketbert.compress.errors import RecipeError

from .located_yaml import Key, Place, Tree, dotted, parse_yaml, read_yaml, shown
from .schema import Recipe
from .validate import nearest, validate

SHIPPED = Path(__file__).parent
CATALOGUE = "sources.yaml"
PREFIXES = tuple(f"{registry}:" for registry in PINS)
# Where a recipe may name a source, and so `pypi:NAME` or `npm:NAME`; `*` is every element of a
# list.
SOURCE_PATHS: tuple[Key, ...] = (
    ("data", "train"),
    ("data", "validation"),
    ("data", "test"),
    ("teacher", "model"),
    ("further_teachers", "*", "model"),
    ("transfer", "unlabelled", "*", "source"),
    ("transfer", "augment", "masked_words", "model"),
    ("general", "texts", "*", "source"),
    ("general", "student", "init"),
    ("distill", "student", "init"),
    ("trim", "texts", "*", "source"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """What `pypi:NAME` or `npm:NAME` stands for.

    Attributes:
        about: What it is.
        licence: Under which terms.
        files: The pinned files.
        inside: Path within the archive.
    """

    __pydantic_config__ = STRICT
    about: str
    licence: str
    files: tuple[PackageFile, ...]
    inside: str


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, what it extends, and overrides.

    Args:
        name: Name of a shipped recipe, or path of a YAML file.
        overrides: `section.key=value` each; the value is YAML.

    Raises:
        RecipeError: With every problem in it.
    """
    path = find_recipe(name)
    tree = _with_parents(path, ())
    tree.values.setdefault("name", path.stem)
    for override in overrides:
        tree = _overridden(tree, override)
    _resolve_packages(tree, load_catalogue(path.parent))
    return validate(tree, Recipe)


def find_recipe(name: str) -> Path:
    """Return the file of a recipe: a path, or the name of a shipped one.

    Raises:
        RecipeError: There is none.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        if not Path(name).is_file():
            raise RecipeError([f"{name}: no such file, expected a recipe's YAML file"])
        return Path(name)
    if name not in shipped_recipes():
        names = shipped_recipes()
        raise RecipeError(
            [
                f"{name}: no shipped recipe, expected one of {', '.join(names)} or the path of a "
                f".yaml file{nearest(name, names)}"
            ]
        )
    return SHIPPED / f"{name}.yaml"


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with pocketbert."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml") if path.name != CATALOGUE)


def load_catalogue(folder: Path) -> dict[str, PackageSource]:
    """Return the sources that a recipe in `folder` may name.

    Raises:
        RecipeError: A catalogue is wrong.
    """
    entries: dict[str, CatalogueEntry] = {}
    for path in dict.fromkeys((SHIPPED / CATALOGUE, folder.absolute() / CATALOGUE)):
        if path.is_file():
            entries |= validate(read_yaml(path), dict[str, CatalogueEntry])
    return {
        name: PackageSource(files=entry.files, inside=entry.inside)
        for name, entry in entries.items()
    }


def _with_parents(path: Path, children: tuple[Path, ...]) -> Tree:
    """Read a file below everything that it extends."""
    path = path.resolve()
    if path in children:
        circle = " -> ".join(shown(p) for p in (*children, path))
        raise RecipeError([f"{shown(path)}: extends itself, expected no circle ({circle})"])
    tree = read_yaml(path)
    parent = tree.values.pop("extends", None)
    if parent is None:
        return tree
    place = tree.place(("extends",))
    if not isinstance(parent, str):
        raise RecipeError([f"{place}: extends is {parent!r}, expected one recipe's name or path"])
    try:
        is_path = parent.endswith((".yaml", ".yml")) or "/" in parent
        found = find_recipe(str(path.parent / parent) if is_path else parent)
    except RecipeError as error:
        raise RecipeError([f"{place}: extends: {error}"]) from error
    inherited = _with_parents(found, (*children, path))
    inherited.values.pop("name", None)  # two recipes of one name would share their results
    return _merged(inherited, tree)


def _merged(below: Tree, above: Tree) -> Tree:
    return Tree(
        _deep(below.values, above.values),
        below.places | above.places,
        [*below.problems, *above.problems],
    )


def _deep(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        both = {key: _deep(below[key], above[key]) for key in below.keys() & above.keys()}
        return below | above | both
    return above


def _overridden(tree: Tree, override: str) -> Tree:
    origin = f"--set {override}"
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise RecipeError([f"{origin}: no value, expected --set section.key=value"])
    above, path = parse_yaml(text, origin, first_line=0), tuple(name.split("."))
    above.places = {(*path, *inner): place for inner, place in above.places.items()}
    section = tree.values
    for depth, part in enumerate(path[:-1], start=1):
        section = section.get(part) if isinstance(section, dict) else None
        # A section that the file has stays the file's; one that is made here is placed here.
        if not isinstance(section, dict):
            above.places[path[:depth]] = Place(origin, 0)
    for part in reversed(path):
        above.values = {part: above.values}
    return _merged(tree, above)


def _resolve_packages(tree: Tree, catalogue: dict[str, PackageSource]) -> None:
    names = [f"{source.registry}:{name}" for name, source in catalogue.items()]
    for path, section, key in _named_packages(tree.values):
        named = section[key]
        if named in names:
            section[key] = dataclasses.asdict(catalogue[named.partition(":")[2]])
            continue
        tree.problems.append(
            (
                tree.place(path),
                f"{dotted(path)} is {named!r}, expected one of {', '.join(names)} "
                f"(listed in {CATALOGUE}){nearest(named, names)}",
            )
        )


def _named_packages(values: Any) -> Iterator[tuple[Key, dict[str, Any], str]]:
    for pattern in SOURCE_PATHS:
        key = str(pattern[-1])
        for path, section in _sections(values, pattern[:-1]):
            if isinstance(section, dict) and str(section.get(key)).startswith(PREFIXES):
                yield (*path, key), section, key


def _sections(values: Any, pattern: Key) -> Iterator[tuple[Key, Any]]:
    if not pattern:
        yield (), values
    elif pattern[0] == "*":
        for number, element in enumerate(values if isinstance(values, list) else []):
            for path, section in _sections(element, pattern[1:]):
                yield (number, *path), section
    elif isinstance(values, dict) and pattern[0] in values:
        for path, section in _sections(values[pattern[0]], pattern[1:]):
            yield (pattern[0], *path), section

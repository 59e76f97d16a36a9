"""YAML whose every value knows its file and line, with the plain scalars of YAML 1.2.

PyYAML alone reads `2e-5` as a text, `no` as false and keeps the last of two equal keys.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pocketbert.compress.errors import RecipeError

Key = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Place:
    """Where a value was written; `line` counts from 1 and is 0 on the command line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Tree:
    """Plain values, the place of each by its path, and what was wrong with the writing."""

    values: Any
    places: dict[Key, Place] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, path: Key) -> Place:
        """Return the place of a value, or of the nearest section around it."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def read_yaml(path: Path) -> Tree:
    """Read a file whose top level is a mapping.

    Raises:
        RecipeError: It cannot be read or is no YAML.
    """
    name = shown(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RecipeError([f"{name}: {error.strerror}, expected a readable YAML file"]) from error
    except UnicodeDecodeError as error:
        raise RecipeError([f"{name}: byte {error.start} is not UTF-8, expected UTF-8"]) from error
    tree = parse_yaml(text, name)
    if tree.values is None:
        tree.values = {}
    if not isinstance(tree.values, dict):
        raise RecipeError([f"{name}:1: found no keys, expected a YAML mapping of `key: value`"])
    return tree


def parse_yaml(text: str, name: str, first_line: int = 1) -> Tree:
    """Parse text; `first_line` 0 is for text of one line, whose place is only `name`.

    Raises:
        RecipeError: It is no YAML.
    """
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        where = f"{name}:{line}:{column}" if first_line else name
        what = (error.problem or "").replace("'\\t'", "a tab")
        hint = "; indent with spaces" if "a tab" in what else ""
        raise RecipeError([f"{where}: {what}, expected valid YAML{hint}"]) from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split("\n")[0].split())
        raise RecipeError([f"{name}: {what}, expected valid YAML"]) from error
    tree = Tree(None, {(): Place(name, first_line)})
    if node is not None:
        tree.values = _plain(node, (), tree, name, first_line)
    return tree


def shown(path: Path) -> str:
    """Name a file as the user would: from here, if it lies below."""
    path = path.absolute()
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2 and without aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own way)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="found an alias (*), which recipes do not have; write it out or use "
                "`extends`",
                problem_mark=mark,
            )
        return super().compose_node(parent, index)


for _tag, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^{_pattern}$"), _first)


def _plain(node: yaml.Node, path: Key, tree: Tree, name: str, first_line: int) -> Any:
    line = node.start_mark.line + first_line if first_line else 0
    tree.places.setdefault(path, Place(name, line))
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(item, (*path, number), tree, name, first_line)
            for number, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + first_line if first_line else 0
            key = str(key_node.value)
            if key in values:
                before = tree.places[(*path, key)]
                tree.problems.append(
                    (
                        Place(name, line),
                        f"{dotted((*path, key))}: written twice, expected once "
                        f"(first in line {before.line})",
                    )
                )
                continue
            tree.places[(*path, key)] = Place(name, line)
            values[key] = _plain(value_node, (*path, key), tree, name, first_line)
        return values
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    if kind == "float" and math.isfinite(float(text)):
        return float(text)
    return text


def dotted(path: Key) -> str:
    """Write a path as people do: `data.train.files[0].package`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")

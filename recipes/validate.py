"""From plain values to typed configs, with every problem said at once and in plain sentences.

pydantic finds the problems; it stops at a section's first failed check, and reports one problem per
member of a union. So a found problem is healed in a copy and the copy validated again until nothing
new is found, and every problem is worded here from its path and type.
"""

import copy
import difflib
import json
import math
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from pocketbert.compress.errors import RecipeError

from .expectations import (
    all_paths,
    child,
    describe,
    fields,
    kind_at,
    members,
    needs_value,
    placeholder,
)
from .located_yaml import Key, Place, Tree, dotted

T = TypeVar("T")
Problem = tuple[Place, str]


def validate(tree: Tree, kind: type[T]) -> T:
    """Build `kind` from a tree.

    Raises:
        RecipeError: With every problem, in the order of the file.
    """
    adapter = _adapter(cast(Hashable, kind))
    healed = copy.deepcopy(tree.values)
    problems: list[Problem] = list(tree.problems)
    known: set[Key] = set()
    result: T | None = None
    while result is None:
        try:
            # JSON's strict mode is the sane one: no text for a number, but a list for a tuple.
            result = adapter.validate_json(json.dumps(healed), strict=True)
        except ValidationError as error:
            fresh = list(_fresh_problems(error, kind, healed, tree, known))
            if not fresh:
                break
            problems += fresh
    if problems or result is None:
        lines = [f"{place}: {text}" for place, text in sorted(problems, key=lambda p: p[0])]
        raise RecipeError(lines)
    return result


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def nearest(name: str, names: list[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing if no name is near."""
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _fresh_problems(
    error: ValidationError, kind: Any, healed: Any, tree: Tree, known: set[Key]
) -> Iterator[Problem]:
    """Word the problems that were not known, and heal them in `healed`."""
    found = [(*_real_path(kind, part["loc"]), part) for part in error.errors()]
    # A union reports its text member even if the deeper problem is in its section member.
    paths = {path for path, _, _ in found}
    deepest = [f for f in found if not any(p[: len(f[0])] == f[0] != p for p in paths)]
    order = {"unexpected_keyword_argument": 0, "value_error": 1}
    before, done = set(known), set[Key]()
    for path, expected, part in sorted(deepest, key=lambda f: order.get(f[2]["type"], 2)):
        if path in done or _is_within(path, before):
            continue
        done.add(path)
        if part["type"] == "unexpected_keyword_argument":
            yield tree.place(path), _unknown_key(path, kind, tree.values)
            renamed = _heal_key(healed, path, fields(kind_at(kind, path[:-1])))
            tree.places.setdefault(renamed, tree.place(path))
            done.add(renamed)  # pydantic misses it
        elif part["type"] == "value_error":
            for message in str(part["ctx"]["error"]).split("\n"):
                culprit, text = _attribute(message, path, kind)
                if not _is_within(culprit, before):
                    yield tree.place(culprit), text
                    known.add(_heal_value(healed, culprit, kind))
        else:
            yield tree.place(path), _wrong_value(path, expected, part)
            known.add(_heal_value(healed, path, kind))


def _is_within(path: Key, others: set[Key]) -> bool:
    return any(path[: len(other)] == other for other in others)


def _unknown_key(path: Key, kind: Any, values: Any) -> str:
    names = list(fields(kind_at(kind, path[:-1])))
    hint = nearest(str(path[-1]), names)
    elsewhere = [place for place in all_paths(kind) if place[-1] == path[-1]]
    if not hint and elsewhere:
        # Of several places rather the one whose section the recipe has.
        nearby = max(elsewhere, key=lambda place: _known_depth(values, place))
        hint = f"; did you mean {dotted(nearby)!r}?"
    return f"{dotted(path)}: unknown key, expected one of {', '.join(names)}{hint}"


def _known_depth(values: Any, path: Key) -> int:
    """Return how many parts of a path, from its beginning, values have."""
    for depth, part in enumerate(path):
        if not isinstance(values, dict) or part not in values:
            return depth
        values = values[part]
    return len(path)


def _wrong_value(path: Key, expected: Any, part: Any) -> str:
    if part["type"] == "missing":
        return f"{dotted(path)} is missing, expected {describe(expected)}"
    value, hint = part["input"], ""
    allowed = members(expected)
    if part["type"] == "literal_error":
        hint = nearest(str(value), [str(choice) for choice in get_args(allowed[0])])
    elif isinstance(value, str) and set(allowed) & {int, float} and _is_number(value):
        hint = "; leave out the quotes"
    elif isinstance(value, bool | int | float) and allowed == (str,):
        hint = "; put it in quotes"
    return f"{dotted(path)} is {_shown(value)}, expected {describe(expected)}{hint}"


def _attribute(message: str, path: Key, kind: Any) -> tuple[Key, str]:
    """Find which value the message of a config's own check is about, by its first word."""
    subject, _, rest = message.partition(" ")
    culprit = (*path, *(int(part) if part.isdigit() else part for part in subject.split(".")))
    if rest.startswith(("is ", "has ", "names ")):
        if kind_at(kind, culprit) is not None:
            return culprit, f"{dotted(culprit)} {rest}"
        if path and subject == path[-1]:
            return path, f"{dotted(path)} {rest}"
    return path, f"{dotted(path)}: {message}" if path else message


def _heal_key(healed: Any, path: Key, names: dict[str, Any]) -> Key:
    """Take an unknown key for the name it is nearest to, so that its value is checked too."""
    section = _value_at(healed, path[:-1])
    value = section.pop(path[-1])
    near = difflib.get_close_matches(str(path[-1]), list(names), n=1, cutoff=0.6)
    if not near or near[0] in section:
        return path
    section[near[0]] = value
    return (*path[:-1], near[0])


def _heal_value(healed: Any, path: Key, kind: Any) -> Key:
    """Put in a good value, for an element that of its whole list; return what was healed."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if path:
        section, name = _value_at(healed, path[:-1]), str(path[-1])
        section.pop(name, None)
        if name in needs_value(kind_at(kind, path[:-1])):
            section[name] = placeholder(kind_at(kind, path))
    return path


def _real_path(kind: Any, location: tuple[str | int, ...]) -> tuple[Key, Any]:
    """Drop from pydantic's location the names of union members; return the expected type too."""
    path: Key = ()
    parts = list(location)
    while parts:
        allowed = members(kind)
        if len(allowed) > 1:
            label = str(parts.pop(0)).split("[")[0]
            if parts:
                kind = next(m for m in allowed if getattr(m, "__name__", "") == label)
            continue
        path, kind = (*path, parts[0]), child(allowed[0], parts.pop(0))
    return path, kind


def _value_at(values: Any, path: Key) -> Any:
    for part in path:
        values = values[part]
    return values


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

"""What a recipe's types expect at a path, in words and as an example."""

import dataclasses
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pocketbert.compress.config import PackageSource

from .located_yaml import Key


def kind_at(kind: Any, path: Key) -> Any:
    """Return the type at a path below `kind`, or None if there is no such path."""
    for part in path:
        found = (child(member, part) for member in members(kind))
        kind = next((below for below in found if below is not None), None)
    return kind


def child(kind: Any, part: str | int) -> Any:
    """Return the type of one key or element of a type that is no union."""
    if dataclasses.is_dataclass(kind):
        return fields(kind).get(str(part))
    if get_origin(kind) is tuple and isinstance(part, int):
        return get_args(kind)[0]
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    return None


def members(kind: Any) -> tuple[Any, ...]:
    """Return the types that a union allows beside None; any other type stands for itself."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(member for member in get_args(kind) if member is not type(None))
    return (kind,)


def fields(kind: Any) -> dict[str, Any]:
    """Return the keys of the section that `kind` is or allows, with their types."""
    sections = [member for member in members(kind) if dataclasses.is_dataclass(member)]
    if not sections:
        return {}
    hints = get_type_hints(sections[0])
    return {field.name: hints[field.name] for field in dataclasses.fields(sections[0])}


def needs_value(kind: Any) -> list[str]:
    """Name the fields without a default, or whose default 0 or () switches something off."""
    sections = [member for member in members(kind) if dataclasses.is_dataclass(member)]
    return [
        field.name
        for section in sections
        for field in dataclasses.fields(section)
        if field.default in (dataclasses.MISSING, 0, ())
        and field.default_factory is dataclasses.MISSING
    ]


def all_paths(kind: Any, path: Key = ()) -> Iterator[Key]:
    """Yield every path a recipe may have, but those inside sources."""
    for name, below in fields(kind).items():
        yield (*path, name)
        if PackageSource not in members(below):
            yield from all_paths(below, (*path, name))


def placeholder(kind: Any) -> Any:
    """Return a value that passes the checks of (nearly) any field of that type."""
    kind = members(kind)[0]
    if dataclasses.is_dataclass(kind):
        return {name: placeholder(fields(kind)[name]) for name in needs_value(kind)}
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        return ["a", "b"] if element is str else [placeholder(element)]
    return {int: 1, float: 0.001, str: "placeholder"}.get(kind)


def describe(kind: Any) -> str:
    """Say what is expected, as it ends the sentence `x is 3, expected ...`."""
    allowed = members(kind)
    if PackageSource in allowed:
        source = "a source (a path, 'hf:NAME', 'pypi:NAME' or 'npm:NAME')"
        return f"a fraction or {source}" if float in allowed else source
    return " or ".join(_describe_one(member) for member in allowed)


def _describe_one(kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        return f"a section with the keys {', '.join(fields(kind))}"
    if get_origin(kind) is Literal:
        choices = [repr(choice) for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        names = {int: "a list of integers", float: "a list of numbers", str: "a list of texts"}
        return names.get(element, "a list")
    return {int: "an integer", float: "a number", str: "a text"}.get(kind, "a mapping")

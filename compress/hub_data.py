"""Reading labelled texts from a data set on the Hugging Face hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .config import ColumnsConfig
from .errors import DataError, UserError
from .tables import Row, check_text, column_names, missing_column

FORM = "`hf:name:split`, `hf:name/config:split` or `hf:owner/name/config:split`"


def read_hub_rows(source: str, columns: ColumnsConfig, labels: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of one split of a data set; no code of the data set is run.

    Args:
        source: `hf:name/config:split` or `hf:owner/name/config:split`; the config of a data set
            that names none is `default`. Found in the local cache too, without a network.
        columns: Both by name.
        labels: The task's label names. A data set that numbers the same names in another order is
            read by name.

    Raises:
        DataError: The name is malformed, the data set cannot be had, or it lacks a column.
        UserError: The library `datasets` is not installed.
    """
    path, config, split = parse_hub_source(source)
    names = column_names(columns, source)
    table = _load(source, path, config, split)
    for name in names:
        if name not in table.column_names:
            raise missing_column(source, name, table.column_names)
    label = names[1]
    hub_names = getattr(table.features[label], "names", [])
    by_name = set(hub_names) == set(labels)
    cells = zip(*(table[name] for name in names), strict=True)
    for number, (words, value, *pair) in enumerate(cells, start=1):
        known = by_name and value in range(len(hub_names))
        yield check_text(source, Row(words, hub_names[value] if known else value, number, *pair))


def parse_hub_source(source: str) -> tuple[str, str | None, str]:
    """Return path, config and split of `hf:owner/name/config:split`.

    Raises:
        DataError: It is not of that form.
    """
    name, _, split = source.removeprefix("hf:").partition(":")
    parts = name.split("/")
    if not split or not all(parts) or len(parts) > 3:
        raise DataError(f"the data source is {source!r}, expected {FORM}; correct the recipe")
    config = parts.pop() if len(parts) > 1 else None
    return "/".join(parts), config, split


def _load(source: str, path: str, config: str | None, split: str) -> Any:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(
            f"{source} needs the library datasets, which is not installed, expected the compress "
            "extra; run pip install 'pocketbert[compress]'"
        ) from error
    if Path(path).exists():
        # load_dataset would silently prefer it to the hub's data set.
        raise DataError(
            f"{source} names a data set on the hub, but {Path(path).resolve()} lies in the working "
            "folder, expected only one of them; rename the folder or work elsewhere"
        )
    try:
        return load_dataset(path, config, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise DataError(
            f"{source} could not be loaded ({reason}), expected {FORM} on the hub or in its local "
            "cache; check the name and the network"
        ) from error

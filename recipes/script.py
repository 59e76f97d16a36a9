"""How the scripts beside the recipes are run: paths in, tables out, mistakes told in a sentence."""

import argparse
import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketbert.compress.data import write_text
from pocketbert.compress.errors import UserError

from .options import USER_ERROR


def run_script(script: Callable[..., Any], about: str | None, **paths: str) -> None:
    """Call a script with the paths of the command line.

    Args:
        script: Takes them by position.
        about: What `--help` says of it.
        **paths: Name of each, and what it is.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, what in paths.items():
        parser.add_argument(name, type=Path, help=what)
    given = parser.parse_args()
    try:
        script(*(getattr(given, name) for name in paths))
    except UserError as error:
        parser.exit(USER_ERROR, f"error: {error}\n")
    except OSError as error:
        where, why = error.filename, error.strerror
        parser.exit(USER_ERROR, f"error: {where} cannot be used ({why}), expected another path\n")


def write_tables(
    out: Path, header: Sequence[str], splits: Mapping[Any, Iterable[Sequence[str]]]
) -> None:
    """Write a CSV file for each split.

    Args:
        out: Folder that gets them.
        header: The columns' names.
        splits: Rows by the file's name.
    """
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(header)
        writer.writerows(rows)
        write_text(out / f"{split}.csv", table.getvalue())

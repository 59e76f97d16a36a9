"""How the scripts beside the recipes are run: paths in, and mistakes told in a sentence."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

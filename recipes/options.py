"""Arguments, options and exit codes that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

USER_ERROR, GATE_MISSED, INTERRUPTED = 2, 3, 130  # exit codes


def examples(*lines: str) -> str:
    """Make the end of a command's help from commands to type."""
    # Typer's rich help joins lines unless an empty one stands between them.
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


def recipe_names() -> list[str]:
    """Complete RECIPE."""
    from .load import shipped_recipes

    return shipped_recipes()


def stage_names() -> list[str]:
    """Complete STAGE."""
    from .pipeline import STAGES

    return list(STAGES)


RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a shipped recipe, or path of a YAML file.",
        autocompletion=recipe_names,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value; may be repeated."),
]
Work = Annotated[Path, typer.Option("--work", help="Folder of the cache and the results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only warnings.")]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of a bundle.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of one inference; the bundle's own if not given.")
]

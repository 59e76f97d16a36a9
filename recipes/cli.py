"""The `pocketbert` command: its help, its exit codes, and what `commands/` holds put together.

Heavy modules are imported by the command that needs them.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from pocketbert.compress.errors import RecipeError, UserError

from . import screen
from .commands import bundle, measure, recipe
from .options import INTERRUPTED, USER_ERROR, examples


class Commands(TyperGroup):
    """Says what a user can mend in a sentence, without a traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command; turn mistakes of the user and Ctrl-C into exit codes."""
        try:
            return super().invoke(ctx)
        except RecipeError as error:
            count = len(error.problems)
            screen.complain(f"{count} problem{'s' if count > 1 else ''} in the recipe:")
            screen.complain(str(error))
            raise typer.Exit(USER_ERROR) from None
        except UserError as error:
            screen.complain(f"error: {error}")
            raise typer.Exit(USER_ERROR) from None
        except ModuleNotFoundError as error:
            from .doctor import extra_with

            requirement = extra_with(error.name or "")
            if requirement is None:
                raise
            screen.complain(
                f"error: {error.name} is not installed, expected it for this command; "
                f"pip install '{requirement}'"
            )
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt:
            screen.complain("stopped; run the same command again to resume")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "pocketbert recipes            # what ships",
        "pocketbert check quickstart   # how large the models will be",
        "pocketbert run quickstart     # stop and repeat at will, nothing is lost",
        'pocketbert predict runs/quickstart/bundle "a moving film"',
    )
    + "\n\nExit codes: 0 done, 1 crash, 2 a mistake in the command, the recipe or the "
    "surroundings, 3 a check or gate was missed.",
)


for part in (recipe, bundle, measure):
    app.add_typer(part.commands)


@app.callback()
def _describe() -> None:
    """From a full BERT to a small, measured engine: one recipe, one command."""


def main() -> None:
    """Entry point of the `pocketbert` command."""
    app()

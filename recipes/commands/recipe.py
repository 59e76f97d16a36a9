"""Commands about recipes and their runs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketbert.compress.errors import UserError

from .. import screen
from ..options import (
    GATE_MISSED,
    AsJson,
    Overrides,
    Quiet,
    RecipeName,
    Work,
    examples,
    recipe_names,
    stage_names,
)

PANEL = "Recipes"

commands = typer.Typer()


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert recipes",
        "pocketbert recipes --json",
    ),
)
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship, a line each."""
    from ..load import load_recipe

    about = {name: load_recipe(name).about for name in recipe_names()}
    if as_json:
        screen.write_json([{"name": name, "about": text} for name, text in about.items()])
    else:
        screen.pairs(about)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert show quickstart",
        "pocketbert show quickstart --set distill.student.layers=2 > mine.yaml",
    ),
)
def show(recipe: RecipeName, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print a recipe as it will be run: parents, overrides, sources and defaults written out."""
    import yaml

    from ..load import load_recipe

    resolved = _plain(load_recipe(recipe, overrides or []))
    if as_json:
        screen.write_json(resolved)
    else:
        screen.write(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).rstrip())


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert check quickstart",
        "pocketbert check mine.yaml --set prune.neurons=0.75 --length 32",
    ),
)
def check(
    recipe: RecipeName,
    overrides: Overrides = None,
    work: Work = Path("runs"),
    length: Annotated[
        int | None, typer.Option(min=1, help="Tokens of the text whose MACs are counted.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate a recipe, say what is cached, and estimate the models; nothing is spent."""
    from ..cache import StageCache
    from ..estimate import estimate
    from ..load import load_recipe
    from ..pipeline import plan
    from ..schema import CACHE_FOLDER
    from ..states_size import states_size

    loaded = load_recipe(recipe, overrides or [])
    cache = StageCache(work / CACHE_FOLDER)
    cached = {step.name: cache.finished(step) is not None for step in plan(loaded, cache)}
    sizes = estimate(loaded, length)
    states = states_size(loaded, loaded.general) if loaded.general else None
    if as_json:
        models = {name: size and asdict(size) for name, size in sizes.items()}
        found = {"recipe": loaded.name, "cached": cached, "models": models}
        general = {"general_states": states and asdict(states) | {"bytes": states.bytes}}
        screen.write_json(found | (general if loaded.general else {}))
    else:
        screen.checked(loaded.name, cached, sizes)
        if loaded.general:
            screen.general_states(states)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert run quickstart",
        "pocketbert run quickstart --set distill.student.layers=2 --set name=two_layers",
        "pocketbert run mine.yaml --work /data/runs --until distill",
        "pocketbert run mine.yaml --junit gates.xml   # exit code 3 if a gate does not pass",
    ),
)
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    work: Work = Path("runs"),
    until: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Stop after this stage.", autocompletion=stage_names),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write how the gates ended, as JUnit.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a recipe; what was done before is taken from the cache."""
    from ..junit import write_junit
    from ..load import load_recipe
    from ..run import run as run_recipe

    screen.log_to_stderr(quiet)
    if junit is not None and not junit.absolute().parent.is_dir():
        raise UserError(f"--junit is {junit}, expected a file in a folder that exists; make it")
    loaded = load_recipe(recipe, overrides or [])
    done = run_recipe(loaded, work, until)
    if junit is not None:
        write_junit(junit, loaded.name, done.gates)
    if as_json:
        screen.write_json(screen.run_as_json(done))
    else:
        screen.ran(done)
    if any(gate.outcome != "pass" for gate in done.gates):
        raise typer.Exit(GATE_MISSED)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert report runs/quickstart",
        "pocketbert report runs/* --json",
        "pocketbert report runs/* --device orin.json --html together.html",
    ),
)
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of results.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one page of all runs and devices.")
    ] = None,
    device: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What `pocketbert bench` wrote on a device, for --html."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the results of runs, side by side if there are several."""
    if device and html is None:
        raise UserError("--device is given without --html, expected a page to show it in")
    if html is not None:
        from pocketbert.eval.together import write_together

        entries = write_together(html, runs, device or [])
        if as_json:
            screen.write_json([asdict(entry) for entry in entries])
        else:
            screen.write(f"{html}: {len(entries)} engines")
        return
    reports = {folder: screen.read_report(folder) for folder in runs}
    if as_json:
        screen.write_json(
            [
                {"folder": str(folder), "recipe": found["recipe"]["name"], **found["summary"]}
                for folder, found in reports.items()
            ]
        )
    elif len(runs) == 1:
        screen.result_table(reports[runs[0]])
    else:
        screen.compared(reports)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert compare runs/quickstart runs/two_layers",
    ),
)
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of results.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs: recipe, versions, graph, sizes, results."""
    from ..compare import compare_runs

    found = compare_runs(first, second)
    if as_json:
        screen.write_json(asdict(found))
    else:
        screen.run_comparison(found)


def _plain(recipe: Any) -> dict[str, Any]:
    """The recipe as YAML and JSON write it, without sections and values that are absent."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if item is not None}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    resolved: dict[str, Any] = plain(asdict(recipe))
    return resolved

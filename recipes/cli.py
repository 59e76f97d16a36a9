"""The `pocketbert` command. Heavy modules are imported by the command that needs them."""

import io
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pocketbert.compress.errors import DataError, RecipeError, UserError

from . import screen
from .examined import examined
from .options import (
    AsJson,
    BundleFolder,
    Overrides,
    Quiet,
    RecipeName,
    Threads,
    Work,
    examples,
    recipe_names,
    stage_names,
)

USER_ERROR, GATE_MISSED, INTERRUPTED = 2, 3, 130


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


export = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Write a bundle in the form of another server.",
    epilog=examples("pocketbert export triton runs/quickstart/bundle --out models"),
)
app.add_typer(export, name="export")


@app.callback()
def _describe() -> None:
    """From a full BERT to a small, measured engine: one recipe, one command."""


@app.command(
    epilog=examples(
        "pocketbert recipes",
        "pocketbert recipes --json",
    )
)
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that ship, a line each."""
    from .load import load_recipe

    about = {name: load_recipe(name).about for name in recipe_names()}
    if as_json:
        screen.write_json([{"name": name, "about": text} for name, text in about.items()])
    else:
        screen.pairs(about)


@app.command(
    epilog=examples(
        "pocketbert show quickstart",
        "pocketbert show quickstart --set distill.student.layers=2 > mine.yaml",
    )
)
def show(recipe: RecipeName, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print a recipe as it will be run: parents, overrides, sources and defaults written out."""
    import yaml

    from .load import load_recipe

    resolved = _plain(load_recipe(recipe, overrides or []))
    if as_json:
        screen.write_json(resolved)
    else:
        screen.write(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).rstrip())


@app.command(
    epilog=examples(
        "pocketbert check quickstart",
        "pocketbert check mine.yaml --set prune.neurons=0.75 --length 32",
    )
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
    from .cache import StageCache
    from .estimate import estimate
    from .load import load_recipe
    from .pipeline import plan
    from .schema import CACHE_FOLDER
    from .states_size import states_size

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


@app.command(
    epilog=examples(
        "pocketbert run quickstart",
        "pocketbert run quickstart --set distill.student.layers=2 --set name=two_layers",
        "pocketbert run mine.yaml --work /data/runs --until distill",
        "pocketbert run mine.yaml --junit gates.xml   # exit code 3 if a gate does not pass",
    )
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
    from .junit import write_junit
    from .load import load_recipe
    from .run import run as run_recipe

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


@app.command(
    name="eval",
    epilog=examples(
        "pocketbert eval runs/quickstart/bundle --data reviews.csv",
        "pocketbert eval runs/quickstart/bundle --data r.tsv --text-column 2 --label-column 1",
        "pocketbert eval my_onnx_folder --labels no,yes --data r.csv --save theirs.parquet",
        "pocketbert eval runs/quickstart/bundle --data r.csv --against theirs.parquet",
        "pocketbert eval seed1.parquet seed2.parquet --against old1.parquet --against old2.parquet",
    ),
)
def evaluate(
    artifacts: Annotated[
        list[Path],
        typer.Argument(
            metavar="ARTIFACT...",
            help="A bundle, a model folder, a transformers checkpoint, an ONNX model with its "
            "tokenizer.json, or predictions saved before; those of several seeds together.",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSONL or Parquet file with labels.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Name, or position from 0.")] = "text",
    label_column: Annotated[str, typer.Option(help="Name, or position from 0.")] = "label",
    pair_column: Annotated[
        str | None, typer.Option(help="Where the second text of a pair stands.")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="auto, csv, tsv, jsonl, parquet, conll or squad.")
    ] = "auto",
    label_threshold: Annotated[
        float | None,
        typer.Option(help="For numeric labels: below is the first label, above the second."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="For vectors: sentence-similarity or text-retrieval; else the bundle's."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="A column to slice by; may be repeated.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of a model that carries none: no,yes.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=2, help="Longest input of a model that carries none.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Keep the predictions, as Parquet.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Predictions to compare with; repeated: the other's seeds."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure anything that answers on your own labelled file, and compare what was measured."""
    from pocketbert.compress.config import ColumnsConfig
    from pocketbert.eval.config import EvaluateConfig
    from pocketbert.eval.score import Table

    from .scoring import Asked, measure_and_compare

    screen.log_to_stderr(quiet)
    table = None
    if data:
        table = Table(
            path=data,
            columns=ColumnsConfig(
                text=_column(text_column),
                label=_column(label_column),
                pair=None if pair_column is None else _column(pair_column),
            ),
            file_format=file_format,
            label_threshold=label_threshold,
            by=tuple(_column(name) for name in by or ()),
            task=task,
        )
    asked = Asked(
        artifacts=artifacts,
        table=table,
        labels=_labels(labels),
        max_length=max_length,
        target=target,
        save=save,
        against=against or [],
    )
    found = measure_and_compare(asked, EvaluateConfig(threads=threads))
    if as_json:
        screen.write_json(found)
    else:
        screen.scored(found)


@app.command(
    epilog=examples(
        "pocketbert load runs/quickstart/bundle --data reviews.csv",
        "pocketbert load runs/quickstart/bundle --data r.csv --target openvino-int8 --latency-ms 5",
    ),
)
def load(
    artifact: Annotated[
        Path,
        typer.Argument(
            metavar="ARTIFACT",
            help="A bundle, a model folder, a transformers checkpoint, or an ONNX model with its "
            "tokenizer.json.",
        ),
    ],
    data: Annotated[Path, typer.Option(help="CSV, TSV, JSONL or Parquet file of texts.")],
    text_column: Annotated[str, typer.Option(help="Name, or position from 0.")] = "text",
    latency_ms: Annotated[
        float | None,
        typer.Option(min=0, help="Also find the rate of arrivals that keeps this at p99."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long a scenario takes.")] = 5.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts of one inference, offline.")] = 16,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of a model that carries none: no,yes.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=2, help="Longest input of a model that carries none.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for LoadGen's logs and every latency.")] = Path(
        "load"
    ),
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Drive anything that answers with MLPerf LoadGen: one by one, all at once, at random."""
    from pocketbert.eval.config import (
        OfflineConfig,
        ScenariosConfig,
        ServerConfig,
        SingleStreamConfig,
    )
    from pocketbert.eval.load import load_on_table

    screen.log_to_stderr(quiet)
    scenarios = ScenariosConfig(
        single_stream=SingleStreamConfig(seconds=seconds),
        offline=OfflineConfig(seconds=seconds, batch_size=batch_size),
        server=ServerConfig(latency_ms=latency_ms, seconds=seconds) if latency_ms else None,
    )
    results = load_on_table(
        artifact,
        data,
        _column(text_column),
        scenarios,
        labels=_labels(labels),
        max_length=max_length,
        target=target,
        threads=threads,
        out=out,
    )
    if as_json:
        screen.write_json([asdict(result) for result in results])
    else:
        screen.loaded([asdict(result) for result in results])


@app.command(
    epilog=examples(
        'pocketbert predict runs/quickstart/bundle "a moving film" "a dull plot"',
        "pocketbert predict runs/quickstart/bundle < reviews.txt > labels.jsonl",
    )
)
def predict(
    bundle: BundleFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts; without any, the lines of stdin. The two texts of a pair have a tab "
            "between them."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    threads: Threads = None,
) -> None:
    """Answer texts; one JSON object a line."""
    from pocketbert.deploy.engine import Engine

    engine = Engine.open(bundle, target, threads)
    # Bytes that are no UTF-8 become U+FFFD, as everywhere.
    if texts:
        lines: Iterable[str] = [os.fsencode(text).decode(errors="replace") for text in texts]
    else:
        stdin = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
        lines = (line.rstrip("\r\n") for line in stdin)
    for line in lines:
        text = _pair(line) if engine.pairs else line
        screen.write_json({"text": text, **asdict(engine([text])[0])}, indent=None)


@app.command(
    epilog=examples(
        "pocketbert selftest runs/quickstart/bundle",
    )
)
def selftest(
    bundle: BundleFolder,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle's bytes and replay its golden texts on this machine."""
    from pocketbert.deploy.selftest import selftest as run_selftest

    result = run_selftest(bundle, target)
    if as_json:
        screen.write_json(asdict(result))
    else:
        screen.self_tested(result)
    if not result.passed:
        raise typer.Exit(GATE_MISSED)


@app.command(
    epilog=examples(
        "pocketbert build runs/quickstart/bundle --target tensorrt   # on the device",
        "pocketbert build runs/quickstart/bundle --rebuild",
    )
)
def build(
    bundle: BundleFolder,
    target: Annotated[
        str | None, typer.Option(help="A target of the bundle; the first that has to be built.")
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Build also what is there already.")] = False,
    dla: Annotated[
        bool, typer.Option("--dla", help="Refused with the reason: DLA runs no encoder.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Build on this machine the engine that a target needs here, such as TensorRT's."""
    from pocketbert.deploy.build import build as build_target

    screen.log_to_stderr(quiet)
    result = build_target(bundle, target, rebuild=rebuild, dla=dla)
    if as_json:
        screen.write_json(asdict(result) | {"fell_back": result.fell_back})
    else:
        screen.was_built(result)


@app.command(
    epilog=examples(
        "openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
        "pocketbert sign runs/quickstart/bundle --key private.pem",
    )
)
def sign(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Private key, PEM, on NIST P-256, P-384 or P-521.")],
) -> None:
    """Sign a bundle: `model.sig`, in OpenSSF's format, over every other file of it."""
    from pocketbert.deploy.signature import sign as sign_bundle

    screen.write(f"signed: {sign_bundle(bundle, key)}")


@app.command(
    epilog=examples(
        "openssl ec -in private.pem -pubout -out public.pem",
        "pocketbert verify runs/quickstart/bundle --key public.pem",
    )
)
def verify(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Public key that must have signed the bundle.")],
) -> None:
    """Check a bundle's signature and every byte of it."""
    from pocketbert.deploy.bundle import read_bundle
    from pocketbert.deploy.signature import verify_signature

    verify_signature(bundle, key)
    read_bundle(bundle)
    screen.write(f"{bundle} is whole and signed with the private key of {key}")


@app.command(
    epilog=examples(
        "pocketbert serve runs/quickstart/bundle --name quickstart",
        "pocketbert serve runs/quickstart/bundle --host 0.0.0.0 --port 80 --max-batch 32",
        'curl localhost:8000/v2/models/quickstart/infer -d \'{"inputs": [{"name": "text", '
        '"shape": [1], "datatype": "BYTES", "data": ["a moving film"]}]}\'',
    )
)
def serve(
    bundle: BundleFolder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in addresses; the bundle's if not given.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    threads: Threads = None,
    max_batch: Annotated[
        int, typer.Option(min=1, help="Texts of several requests that are computed at once.")
    ] = 8,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Longest that a text waits for others; 0 takes what waits.")
    ] = 0,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Texts taken in at a time; more are answered with 429.")
    ] = 256,
    max_body_bytes: Annotated[
        int, typer.Option(min=1, help="Longest body of a request.")
    ] = 1_048_576,
    quiet: Quiet = False,
) -> None:
    """Answer texts over HTTP: Open Inference Protocol (v2), /metrics, and a page to try at /.

    Without a login and without TLS: put a proxy before it where others can reach it.
    SIGTERM and Ctrl-C end it when everything that it took in is answered.
    """
    from pocketbert.deploy.serve.batcher import BatchConfig
    from pocketbert.deploy.serve.server import serve as run_server
    from pocketbert.deploy.serve.service import ServeConfig

    screen.log_to_stderr(quiet)
    batch = BatchConfig(max_batch=max_batch, max_wait_ms=max_wait_ms, max_waiting=max_waiting)
    config = ServeConfig(batch=batch, max_body_bytes=max_body_bytes)
    run_server(bundle, config, host=host, port=port, name=name, target=target, threads=threads)


@export.command(
    name="triton",
    epilog=examples(
        "pocketbert export triton runs/quickstart/bundle --out models",
        "tritonserver --model-repository models   # in its container, after pip install tokenizers",
    ),
)
def export_triton(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option(metavar="REPO", help="A new folder.")],
    target: Annotated[str | None, typer.Option(help="A target that ONNX Runtime runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model repository of Triton Inference Server: texts in, labels out."""
    from pocketbert.deploy.triton.repository import export_triton as write_repository

    written = write_repository(bundle, out, target)
    if as_json:
        screen.write_json({"repository": str(out), "target": asdict(written)})
    else:
        screen.write(f"{out}: {written.name}, {written.precision} for {written.isa}")


@app.command(
    epilog=examples(
        "pocketbert bench runs/quickstart/bundle",
        "pocketbert bench small large --target onnxruntime --lengths 16,64 --out board.json",
    )
)
def bench(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles.")],
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", help="A target; may be repeated. All that run here if none."),
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="File with a text a line; the golden texts if none.")
    ] = None,
    lengths: Annotated[
        str, typer.Option(help="Numbers of tokens, as 16,64, in place of real lengths.")
    ] = "",
    calls: Annotated[int, typer.Option(min=1, help="Inferences of a target in a round.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, in which targets take turns.")] = 5,
    threads: Threads = None,
    out: Annotated[Path, typer.Option(help="Results file to carry back.")] = Path("bench.json"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure bundles on this device: latency, memory, cold start, clocks, energy."""
    from pocketbert.eval.bench import BenchConfig
    from pocketbert.eval.bench import bench as run_bench

    screen.log_to_stderr(quiet)
    config = BenchConfig(
        targets=tuple(targets or ()),
        texts=texts,
        lengths=_lengths(lengths),
        calls=calls,
        rounds=rounds,
        threads=threads,
    )
    result = run_bench(bundles, config, out)
    if as_json:
        screen.write_json(result.content)
    else:
        screen.benched(result)
        screen.complain(f"written to {out}")


@app.command(
    name="latency-table",
    epilog=examples(
        "pocketbert run mine.yaml --until latency-table   # at the desk, with prune.speedup",
        "pocketbert latency-table latency_table.json --out board.json   # on the device",
        "pocketbert run mine.yaml --set prune.latency_table=board.json   # at the desk again",
    ),
)
def latency_table(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A table of another machine.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time on this machine what a latency table holds, so that pruning aims at this machine."""
    from pocketbert.deploy.latency_table import measure_again

    screen.log_to_stderr(quiet)
    measured = measure_again(table, out, threads)
    if as_json:
        screen.write_json(asdict(measured))
    else:
        screen.timed(measured)


@app.command(
    epilog=examples(
        "pocketbert report runs/quickstart",
        "pocketbert report runs/* --json",
        "pocketbert report runs/* --device orin.json --html together.html",
    )
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


@app.command(
    epilog=examples(
        "pocketbert doctor                            # what this machine can run",
        "pocketbert doctor runs/quickstart/bundle --texts reviews.txt   # why it is not faster",
        "pocketbert doctor runs/quickstart            # also which layers INT8 harms",
        "pocketbert doctor other.onnx --texts reviews.txt --tokenizer tokenizer.json",
    )
)
def doctor(
    subject: Annotated[
        Path | None,
        typer.Argument(metavar="[BUNDLE|RUN|ONNX]", help="What to examine; else this machine."),
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts to run, one a line.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of an ONNX file, if not beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why an engine is slow or wrong; without an argument, what this machine can run."""
    if subject is not None:
        from pocketbert.eval.doctor.examine import examine

        found = examine(subject, _lines(texts), tokenizer)
        if as_json:
            screen.write_json(asdict(found))
        else:
            examined(found)
        return
    if texts or tokenizer:
        raise UserError("--texts and --tokenizer came without a subject, expected one; name it")
    from .doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        screen.write_json(asdict(diagnosis))
    else:
        screen.diagnosed(diagnosis)


@app.command(
    epilog=examples(
        "pocketbert compare runs/quickstart runs/two_layers",
    )
)
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of results.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs: recipe, versions, graph, sizes, results."""
    from .compare import compare_runs

    found = compare_runs(first, second)
    if as_json:
        screen.write_json(asdict(found))
    else:
        screen.run_comparison(found)


def main() -> None:
    """Entry point of the `pocketbert` command."""
    app()


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


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}), expected a text a line") from error
    if not lines:
        raise UserError(f"{path} has no lines, expected a text a line")
    return lines


def _labels(names: str | None) -> tuple[str, ...] | None:
    return tuple(names.split(",")) if names else None


def _lengths(text: str) -> tuple[int, ...]:
    words = [word for word in text.split(",") if word]
    if not all(word.strip().isdecimal() for word in words):
        raise UserError(
            f"--lengths is {text!r}, expected numbers of tokens with commas between, as 16,64"
        )
    return tuple(int(word) for word in words)


def _pair(line: str) -> tuple[str, str]:
    first, tab, second = line.partition("\t")
    if not tab:
        raise DataError(
            f"the text is {line[:80]!r}, expected two texts with a tab between them, because the "
            "bundle reads pairs"
        )
    return first, second


def _column(name: str) -> str | int:
    return int(name) if name.isdigit() else name

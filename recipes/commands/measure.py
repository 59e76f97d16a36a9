"""Commands that measure, and that say why."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketbert.compress.errors import UserError

from .. import screen
from ..examined import examined
from ..options import (
    AsJson,
    Quiet,
    Threads,
    examples,
)

PANEL = "Measuring"

commands = typer.Typer()

Measured = Annotated[
    list[Path],
    typer.Argument(
        metavar="ARTIFACT...",
        help="A bundle, a model folder, a transformers checkpoint, an ONNX model with its "
        "tokenizer.json, or predictions saved before; those of several seeds together.",
    ),
]
Data = Annotated[Path | None, typer.Option(help="CSV, TSV, JSONL or Parquet file with labels.")]
Column = Annotated[str, typer.Option(help="Name, or position from 0.")]
PairColumn = Annotated[str | None, typer.Option(help="Where the second text of a pair stands.")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="auto, csv, tsv, jsonl, parquet, conll, tagged, squad, label-files or label-folders.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="For numeric labels: below is the first label, above the second."),
]
VectorTask = Annotated[
    str | None,
    typer.Option(help="For vectors: sentence-similarity or text-retrieval; else the bundle's."),
]
By = Annotated[list[str] | None, typer.Option(help="A column to slice by; may be repeated.")]
OfBundle = Annotated[str | None, typer.Option(help="A target of the bundle.")]
Labels = Annotated[str | None, typer.Option(help="Labels of a model that carries none: no,yes.")]
MaxLength = Annotated[
    int | None, typer.Option(min=2, help="Longest input of a model that carries none.")
]
MeasuredThreads = Annotated[int, typer.Option(min=1, help="Threads of one inference.")]
Save = Annotated[Path | None, typer.Option(help="Keep the predictions, as Parquet.")]
Against = Annotated[
    list[Path] | None,
    typer.Option(help="Predictions to compare with; repeated: the other's seeds."),
]


@commands.command(
    rich_help_panel=PANEL,
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
    artifacts: Measured,
    data: Data = None,
    text_column: Column = "text",
    label_column: Column = "label",
    pair_column: PairColumn = None,
    file_format: Format = "auto",
    label_threshold: Threshold = None,
    task: VectorTask = None,
    by: By = None,
    target: OfBundle = None,
    labels: Labels = None,
    max_length: MaxLength = None,
    save: Save = None,
    against: Against = None,
    threads: MeasuredThreads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure anything that answers on your own labelled file, and compare what was measured."""
    from pocketbert.compress.config import ColumnsConfig
    from pocketbert.eval.config import EvaluateConfig
    from pocketbert.eval.score import Table

    from ..scoring import Asked, measure_and_compare

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


@commands.command(
    rich_help_panel=PANEL,
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
    target: OfBundle = None,
    labels: Labels = None,
    max_length: MaxLength = None,
    out: Annotated[Path, typer.Option(help="Folder for LoadGen's logs and every latency.")] = Path(
        "load"
    ),
    threads: MeasuredThreads = 1,
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


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert bench runs/quickstart/bundle",
        "pocketbert bench small large --target onnxruntime --lengths 16,64 --out board.json",
    ),
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


@commands.command(
    rich_help_panel=PANEL,
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


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert doctor                            # what this machine can run",
        "pocketbert doctor runs/quickstart/bundle --texts reviews.txt   # why it is not faster",
        "pocketbert doctor runs/quickstart            # also which layers INT8 harms",
        "pocketbert doctor other.onnx --texts reviews.txt --tokenizer tokenizer.json",
    ),
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
    from ..doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        screen.write_json(asdict(diagnosis))
    else:
        screen.diagnosed(diagnosis)


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


def _column(name: str) -> str | int:
    return int(name) if name.isdigit() else name

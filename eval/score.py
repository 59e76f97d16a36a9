"""An artifact on a table of labelled texts: how good, how sure that is, and how fast."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketbert.compress.config import TASK_KINDS, ColumnsConfig
from pocketbert.compress.data import Examples, label_array
from pocketbert.compress.errors import DataError, UserError
from pocketbert.compress.labelling import LABELLINGS
from pocketbert.compress.tables import read_table
from pocketbert.deploy.bundle import TOKENIZER
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.tasks import TASKS

from .accuracy import predict
from .artifacts import Artifact, open_artifact
from .config import EvaluateConfig
from .intervals import Interval
from .latency import choose_texts, measure_latency
from .metrics import ClassMetrics, class_metrics, macro_f1
from .open_any import artifact_at
from .predictions import Predictions
from .reliability import calibration_error
from .slices import Slice, slices
from .tasks import MEASURES
from .token_lengths import token_lengths


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of labelled texts.

    Attributes:
        path: CSV, TSV, JSONL or Parquet file.
        columns: Where text and label stand.
        file_format: `auto` goes by the file's ending.
        encoding: Text encoding of the file.
        label_threshold: For a numeric label column: up to it is the first label, above it the
            second.
        by: Further columns to slice by, given as text and label are.
        task: Kind of task that the table is of, where it is another than the artifact's with the
            same answers: similarity or retrieval for any vectors.
    """

    path: Path
    columns: ColumnsConfig
    file_format: str = "auto"
    encoding: str = "utf-8"
    label_threshold: float | None = None
    by: tuple[str | int, ...] = ()
    task: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """How good an artifact is on a table.

    Attributes:
        engine: What ran, and why.
        examples: Rows of the table.
        metric: Name of the task's metric.
        accuracy: The task's metric, with its interval.
        macro_f1: Mean of the labels' F1, with its interval, where a text has one label.
        calibration_error: Expected distance between stated and true frequency, likewise.
        classes: Precision, recall and F1 of each label, likewise.
        slices: The metric by class, by length and by the columns asked for.
        further: Further metrics of the task by name, such as Spearman's correlation.
    """

    engine: str
    examples: int
    metric: str
    accuracy: Interval
    macro_f1: Interval | None
    calibration_error: float | None
    classes: dict[str, ClassMetrics]
    slices: tuple[Slice, ...]
    further: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast an artifact is at batch 1, text in to answer out.

    Attributes:
        p50_ms: Median latency.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        peak_bytes: Most memory that the timed process ever held.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    peak_bytes: int


def measure_table(
    path: Path,
    table: Table,
    *,
    labels: tuple[str, ...] | None = None,
    max_length: int | None = None,
    target: str | None = None,
    config: EvaluateConfig,
) -> tuple[Predictions, Timing]:
    """Let whatever lies at a path answer every row of a table, and time it on some.

    Args:
        path: A bundle, a model folder, a checkpoint, or an ONNX model with its tokenizer.
        table: The examples.
        labels: Label names, for a model that does not carry its own.
        max_length: Longest input in tokens, for a model that does not carry its own.
        target: Of a bundle, the target that is measured.
        config: Texts, rounds and threads.

    Raises:
        UserError: Nothing that can be measured lies at the path.
        DataError: If the table or a label in it cannot be used.
    """
    with tempfile.TemporaryDirectory() as scratch:
        artifact, names, longest = artifact_at(
            path, Path(scratch) / "model", labels=labels, max_length=max_length, target=target
        )
        predictions = _predict(artifact, names, longest, table, config.threads)
        chosen = choose_texts(predictions.texts, config.latency_texts)
        logs = Path(scratch) / "logs"
        measured = measure_latency([artifact], chosen, names, longest, config, logs)[artifact.name]
    p50_ms, p90_ms, p99_ms = np.percentile(measured.latencies_ms, (50, 90, 99)).tolist()
    return predictions, Timing(
        p50_ms=p50_ms, p90_ms=p90_ms, p99_ms=p99_ms, peak_bytes=measured.peak_bytes
    )


def score(
    predictions: Predictions, config: EvaluateConfig, theirs: Predictions | None = None
) -> ScoreResult:
    """Say how good predictions are.

    Args:
        predictions: Of one artifact.
        config: Confidence and resamples.
        theirs: Of another artifact on the same examples, that slices are compared with.
    """
    measure, truth, of_config = (
        predictions.measure,
        predictions.truth,
        (config.confidence, config.resamples),
    )
    result = ScoreResult(
        engine=predictions.engine,
        examples=len(truth),
        metric=measure.name,
        accuracy=measure.interval(predictions.statistics, *of_config),
        macro_f1=None,
        calibration_error=None,
        classes={},
        slices=slices(predictions, config, theirs),
        further=measure.further(predictions.logits, truth),
    )
    if not predictions.one_label:
        return result
    answers, labels = predictions.answers, predictions.labels
    return replace(
        result,
        macro_f1=macro_f1(truth, answers, len(labels), *of_config),
        calibration_error=calibration_error(predictions.probabilities, truth),
        classes=class_metrics(truth, answers, labels),
    )


def _predict(
    artifact: Artifact, labels: tuple[str, ...], max_length: int, table: Table, threads: int
) -> Predictions:
    engine = open_artifact(artifact, labels, max_length, threads)
    kind = _judged_as(engine.kind, table)
    examples = _examples(table, engine, kind)
    texts = examples.texts
    truth = MEASURES[kind](labels).truth(examples, Path(artifact.folder) / TOKENIZER)
    return Predictions(
        artifact=artifact.name,
        engine=engine.describe(),
        kind=kind,
        labels=labels,
        texts=tuple(texts),
        truth=truth,
        tokens=token_lengths(Path(artifact.folder), texts, max_length),
        logits=predict(engine, texts, truth, "Score"),
        columns={str(name): _column(table, name) for name in table.by},
    )


def _judged_as(kind: str, table: Table) -> str:
    """Return the kind of task that a table is of, given the artifact's own."""
    if table.task is None or table.task == kind:
        return kind
    alike = [name for name, answers in TASKS.items() if answers is TASKS[kind]]
    if table.task not in alike:
        raise UserError(
            f"{table.path} is said to be of the task {table.task!r}, expected "
            f"{' or '.join(alike)}, which {kind!r} has the answers for; correct --task"
        )
    return table.task


def _examples(table: Table, engine: Engine, kind: str) -> Examples:
    columns = table.columns
    if not LABELLINGS[kind].needs_column:
        columns = replace(columns, label=columns.text)
    labels = LABELLINGS[kind].given(engine.labels)
    rows = list(read_table(table.path, columns, table.file_format, table.encoding, labels))
    if not rows:
        raise DataError(f"{table.path} has no rows, expected labelled texts; give another file")
    in_pairs = True if TASK_KINDS[kind].vectors else engine.pairs
    if in_pairs is not None and in_pairs != (rows[0].pair is not None):
        raise DataError(
            f"{table.path} is read with {'no' if in_pairs else 'a'} column for the second "
            f"text, expected {'one' if in_pairs else 'none'}, as the bundle says; "
            f"{'give' if in_pairs else 'leave out'} --pair-column"
        )
    read = LABELLINGS[kind].examples(rows, labels, table.label_threshold, table.path)
    return Examples([one.text for one in read], label_array([one.label for one in read]))


def _column(table: Table, name: str | int) -> tuple[str, ...]:
    """The values of a further column, read as if it were the label."""
    columns = replace(table.columns, label=name)
    rows = read_table(table.path, columns, table.file_format, table.encoding)
    return tuple(str(row.label) for row in rows)

"""A bundle on a table of labelled texts."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.compress.labels import class_numbers
from pocketbert.compress.tables import read_table
from pocketbert.deploy.engine import Engine

from .accuracy import predict
from .artifacts import Artifact
from .config import EvaluateConfig
from .intervals import Interval, proportion
from .latency import choose_texts, measure_latency


@dataclass(frozen=True, kw_only=True)
class ScoreResult:
    """How good and how fast a bundle is on a table.

    Attributes:
        engine: What runs, and why.
        examples: Rows of the table.
        accuracy: With its interval.
        recall: Of each label that the table has: the fraction of its texts that get it.
        counts: Texts of each label.
        p50_ms: Median latency at batch 1, text in to label out.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        peak_bytes: Most memory that the timed process ever held.
    """

    engine: str
    examples: int
    accuracy: Interval
    recall: dict[str, Interval]
    counts: dict[str, int]
    p50_ms: float
    p90_ms: float
    p99_ms: float
    peak_bytes: int


def score_bundle(
    bundle: Path,
    table: Path,
    *,
    columns: ColumnsConfig,
    file_format: str = "auto",
    encoding: str = "utf-8",
    label_threshold: float | None = None,
    config: EvaluateConfig,
) -> ScoreResult:
    """Score a bundle on every row of a table and time it on some.

    Args:
        bundle: The bundle's folder.
        table: CSV, TSV, JSONL or Parquet file.
        columns: Where text and label stand.
        file_format: `auto` goes by the file's ending.
        encoding: Text encoding of the file.
        label_threshold: For a numeric label column: below it is the first label, above it the
            second.
        config: Confidence, texts, rounds and threads.

    Raises:
        BundleError: If the bundle is broken or does not fit this machine.
        DataError: If the table or a label in it cannot be used.
    """
    engine = Engine.open(bundle, threads=config.threads)
    rows = list(read_table(table, columns, file_format, encoding))
    if not rows:
        raise DataError(f"{table} has no rows, expected labelled texts; give another file")
    texts = [row.text for row in rows]
    labels = np.array(class_numbers(rows, engine.labels, label_threshold, table))
    right = predict(engine, texts, labels, "Accuracy").argmax(axis=1) == labels
    present = [number for number in range(len(engine.labels)) if (labels == number).any()]

    artifact = Artifact(name="bundle", title="Bundle", kind="bundle", folder=str(bundle))
    chosen = choose_texts(texts, config.latency_texts)
    with tempfile.TemporaryDirectory() as logs:
        measured = measure_latency([artifact], chosen, engine.labels, 0, config, Path(logs))
    measurement = measured[artifact.name]
    p50_ms, p90_ms, p99_ms = np.percentile(measurement.latencies_ms, (50, 90, 99)).tolist()
    return ScoreResult(
        engine=measurement.engine,
        examples=len(rows),
        accuracy=proportion(right, config.confidence),
        recall={
            engine.labels[number]: proportion(right[labels == number], config.confidence)
            for number in present
        },
        counts={engine.labels[number]: int((labels == number).sum()) for number in present},
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p99_ms=p99_ms,
        peak_bytes=measurement.peak_bytes,
    )

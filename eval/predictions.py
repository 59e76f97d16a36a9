"""What an artifact answered, example by example: kept, so that any two compare without running."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError, DataError
from pocketbert.compress.texts import Text, parts, text_of

from .tasks import MEASURES, Measure

ABOUT = b"pocketbert"
ID_DIGITS = 16
OWN_COLUMNS = ("id", "text", "tokens", "label", "predicted", "truth", "logits")
ONE_LABEL = "text-classification"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The answers of one artifact on labelled examples.

    Attributes:
        artifact: Its name.
        engine: What its engine says it is.
        kind: The kind of task.
        labels: Label names in the order of the logits.
        texts: The examples' texts.
        truth: What answers are compared with, shape (examples, ...).
        tokens: Lengths in tokens, as the model reads them, shape (examples,).
        logits: Answers, shape (examples, ..., labels).
        columns: Further columns of the table, by name, to slice by.

    Raises:
        BundleError: An answer is not a number.
    """

    artifact: str
    engine: str
    kind: str = ONE_LABEL
    labels: tuple[str, ...]
    texts: tuple[Text, ...]
    truth: NDArray[Any]
    tokens: NDArray[np.int64]
    logits: NDArray[np.float32]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Where every word is answered, a word that is not there has no logits.
        finite = np.isfinite(self.logits).all(axis=1)
        broken = np.nonzero(~finite)[0]
        if self.one_row and broken.size:
            raise BundleError(
                f"{self.artifact} answers {broken.size:,} of {len(self.texts):,} texts with NaN or "
                f"infinity, first {self.texts[broken[0]][:50]!r}, expected finite logits; an "
                "activation overflows, or the file is damaged"
            )

    @property
    def one_row(self) -> bool:
        """Whether a text has one row of logits."""
        return self.logits.ndim == 2

    @property
    def one_label(self) -> bool:
        """Whether the answer is the label with the largest logit."""
        return self.kind == ONE_LABEL

    @cached_property
    def measure(self) -> Measure:
        """The task's metric."""
        return MEASURES[self.kind](self.labels)

    @cached_property
    def statistics(self) -> NDArray[np.float64]:
        """What each example adds to the metric, shape (examples, statistics)."""
        return self.measure.statistics(self.logits, self.truth)

    @cached_property
    def each(self) -> NDArray[np.float64]:
        """The metric of each example alone, 1 where all of its answer is right. (examples,)."""
        return self.measure.of_means(self.statistics)

    @property
    def answers(self) -> NDArray[np.int64]:
        """Positions of the largest logits, shape (examples,)."""
        answers: NDArray[np.int64] = self.logits.argmax(axis=1)
        return answers

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, shape (examples, labels)."""
        logits = self.logits.astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a Parquet file, one row an example; label names stand in its schema's metadata.

    `label` and `predicted` are there where a text has one label.
    """
    import pyarrow
    import pyarrow.parquet

    names = np.array(predictions.labels)
    named = {}
    if predictions.one_label:
        named = {
            "label": names[predictions.truth].tolist(),
            "predicted": names[predictions.answers].tolist(),
        }
    table = pyarrow.table(
        {
            "id": [_id(text) for text in predictions.texts],
            "text": list(predictions.texts),
            "tokens": predictions.tokens,
            **named,
            "truth": predictions.truth.tolist(),
            "logits": predictions.logits.tolist(),
            **{name: list(values) for name, values in predictions.columns.items()},
        }
    )
    about = {name: getattr(predictions, name) for name in ("artifact", "engine", "kind", "labels")}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    pyarrow.parquet.write_table(
        table.replace_schema_metadata({ABOUT: json.dumps(about).encode()}), temporary
    )
    temporary.replace(path)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        DataError: There is no such file, or it is another kind of table.
    """
    import pyarrow
    import pyarrow.parquet

    if not path.is_file():
        raise DataError(
            f"{path} is no file, expected predictions; write them with `pocketbert eval --save`"
        )
    try:
        table = pyarrow.parquet.read_table(path)
        about: dict[str, Any] = json.loads((table.schema.metadata or {})[ABOUT])
    except (pyarrow.ArrowException, KeyError) as error:
        raise DataError(
            f"{path} holds no predictions ({error}), expected a Parquet file that "
            "`pocketbert eval --save` wrote"
        ) from error
    return Predictions(
        artifact=about["artifact"],
        engine=about["engine"],
        kind=about["kind"],
        labels=tuple(about["labels"]),
        texts=tuple(map(text_of, table["text"].to_pylist())),
        truth=np.array(table["truth"].to_pylist()),
        tokens=table["tokens"].to_numpy(),
        logits=np.array(table["logits"].to_pylist(), dtype=np.float32),
        columns={
            name: tuple(table[name].to_pylist())
            for name in table.column_names
            if name not in OWN_COLUMNS
        },
    )


def check_same_examples(all_of_them: Sequence[Predictions]) -> None:
    """Refuse predictions that are not of the same examples, in the same order.

    Raises:
        DataError: Other labels, other examples, or other true labels.
    """
    first = all_of_them[0]
    for other in all_of_them[1:]:
        if (other.kind, other.labels) != (first.kind, first.labels):
            raise DataError(
                f"{other.artifact} answers {other.kind} with the labels {', '.join(other.labels)}, "
                f"expected {first.kind} with {', '.join(first.labels)} as {first.artifact} does; "
                "compare artifacts of one task"
            )
        if other.texts != first.texts:
            shared = len(set(other.texts) & set(first.texts))
            raise DataError(
                f"{other.artifact} was asked {len(other.texts):,} texts, {shared:,} of them the "
                f"same as the {len(first.texts):,} of {first.artifact}, expected the same in the "
                "same order; predict both on one table"
            )
        differing = int((other.truth != first.truth).reshape(len(first.texts), -1).any(1).sum())
        if differing:
            raise DataError(
                f"{differing} texts of {other.artifact} have another true label than those of "
                f"{first.artifact}, expected one table; predict again"
            )


def _id(text: Text) -> str:
    return hashlib.sha256("\n".join(parts(text)).encode()).hexdigest()[:ID_DIGITS]

"""What an engine answers on labelled examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import DataDescription, Examples
from pocketbert.compress.progress import progress
from pocketbert.compress.texts import Text, characters
from pocketbert.deploy.bundle import TOKENIZER
from pocketbert.deploy.engine import Engine

from .tasks import MEASURES

BATCH_SIZE = 16


def predict(
    engine: Engine, texts: Sequence[Text], truth: NDArray[Any], title: str
) -> NDArray[np.float32]:
    """Answer every text and show the metric so far, where it is one of examples by themselves.

    Args:
        engine: What answers.
        texts: The examples' texts.
        truth: As the task's measure has it, shape (examples, ...).
        title: Name on the progress bar.

    Returns:
        Logits in the order of `texts`, less the thresholds of labels that have one, shape
        (examples, labels), or (examples, width) of vectors; where every word is answered (examples,
        words, labels), NaN where an artifact read no word.
    """
    # Texts of like length share a batch, so that little of it is padding.
    order = np.argsort([characters(text) for text in texts], kind="stable")
    measure = MEASURES[engine.kind](engine.labels)
    answers: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(texts)
    total, done = np.zeros(1), 0
    with progress(title, total=len(texts), unit="text") as bar:
        for start in range(0, len(texts), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            found = engine.rows([texts[row] for row in rows], batch_size=BATCH_SIZE)
            for row, values in zip(rows, found, strict=True):
                answers[row] = engine.less_thresholds(values)
            shown = {}
            if measure.of_single_examples:
                some = _stacked([answers[row] for row in rows], measure.shape(truth)[1:])
                total = total + measure.statistics(some, truth[rows]).sum(axis=0)
                done += len(rows)
                shown = {measure.name: float(measure.of_means(total / done))}
            bar.advance(len(rows), **shown)
    return _stacked(answers, measure.shape(truth)[1:])


def _stacked(rows: Sequence[NDArray[np.float32]], words: tuple[int, ...]) -> NDArray[np.float32]:
    """Lay out texts' logits side by side, NaN where a text has fewer than another.

    Args:
        rows: Of each text. Shape: (labels,), or (words, labels).
        words: How many words there are at least; empty where a text has one row.
    """
    if not words or not rows:
        return np.array(rows, dtype=np.float32)
    most = max(words[0], *map(len, rows))
    logits = np.full((len(rows), most, rows[0].shape[-1]), np.nan, dtype=np.float32)
    for row, values in enumerate(rows):
        logits[row, : len(values)] = values
    return logits


def truth_of(examples: Examples, description: DataDescription, exported: Path) -> NDArray[Any]:
    """Return what answers are compared with, given the folder of an exported model."""
    return MEASURES[description.kind](description.labels).truth(examples, exported / TOKENIZER)

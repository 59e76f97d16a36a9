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
    logits = np.empty((*measure.shape(truth), len(engine.labels)), dtype=np.float32)
    total, done = np.zeros(1), 0
    with progress(title, total=len(texts), unit="text") as bar:
        for start in range(0, len(texts), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            found = engine.rows([texts[row] for row in rows], batch_size=BATCH_SIZE)
            if start == 0:
                logits = np.full(
                    (*measure.shape(truth), found[0].shape[-1]), np.nan, dtype=np.float32
                )
            for row, values in zip(rows, found, strict=True):
                whole = row if values.ndim == 1 else (row, slice(len(values)))
                logits[whole] = engine.less_thresholds(values)
            shown = {}
            if measure.of_single_examples:
                total = total + measure.statistics(logits[rows], truth[rows]).sum(axis=0)
                done += len(rows)
                shown = {measure.name: float(measure.of_means(total / done))}
            bar.advance(len(rows), **shown)
    return logits


def truth_of(examples: Examples, description: DataDescription, exported: Path) -> NDArray[Any]:
    """Return what answers are compared with, given the folder of an exported model."""
    return MEASURES[description.kind](description.labels).truth(examples, exported / TOKENIZER)

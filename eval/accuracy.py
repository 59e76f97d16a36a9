"""What an engine answers on labelled examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.progress import progress
from pocketbert.deploy.engine import Engine

from .tasks import MEASURES

BATCH_SIZE = 16


def predict(
    engine: Engine, texts: Sequence[str], labels: NDArray[Any], title: str
) -> NDArray[np.float32]:
    """Answer every text and show the metric so far.

    Args:
        engine: What answers.
        texts: The examples' texts.
        labels: The truth, as the data have it, shape (examples, ...).
        title: Name on the progress bar.

    Returns:
        Logits in the order of `texts`, shape (examples, classes).
    """
    # Texts of like length share a batch, so that little of it is padding.
    order = np.argsort([len(text) for text in texts], kind="stable")
    logits = np.zeros((len(texts), len(engine.labels)), dtype=np.float32)
    measure = MEASURES[engine.kind](engine.labels)
    total, done = np.zeros(1), 0
    with progress(title, total=len(texts), unit="text") as bar:
        for start in range(0, len(texts), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            logits[rows] = engine.logits([texts[row] for row in rows], batch_size=BATCH_SIZE)
            total = total + measure.statistics(logits[rows], labels[rows]).sum(axis=0)
            done += len(rows)
            bar.advance(len(rows), **{measure.name: float(measure.of_means(total / done))})
    return logits

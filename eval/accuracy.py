"""What an engine answers on labelled examples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.progress import progress
from pocketbert.deploy.engine import Engine

BATCH_SIZE = 16


def predict(
    engine: Engine, texts: Sequence[str], labels: NDArray[np.int64], title: str
) -> NDArray[np.float32]:
    """Answer every text and show the accuracy so far.

    Args:
        engine: What answers.
        texts: The examples' texts.
        labels: Their class numbers, shape (examples,).
        title: Name on the progress bar.

    Returns:
        Logits in the order of `texts`, shape (examples, classes).
    """
    # Texts of like length share a batch, so that little of it is padding.
    order = np.argsort([len(text) for text in texts], kind="stable")
    logits = np.zeros((len(texts), len(engine.labels)), dtype=np.float32)
    right = done = 0
    with progress(title, total=len(texts), unit="text") as bar:
        for start in range(0, len(texts), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            logits[rows] = engine.logits([texts[row] for row in rows], batch_size=BATCH_SIZE)
            right += int((logits[rows].argmax(axis=1) == labels[rows]).sum())
            done += len(rows)
            bar.advance(len(rows), accuracy=right / done)
    return logits

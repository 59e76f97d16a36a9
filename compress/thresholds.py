"""From which probability on a text has a label, chosen where the answers are known."""

import numpy as np
from numpy.typing import NDArray


def best_thresholds(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> list[float]:
    """Choose for each label the logit from which on it is given, for the largest F1.

    Between two texts that are told apart it is the middle. Labels that no text has, or that are
    never worth giving, get 0, a probability of one half.

    Args:
        logits: Shape: (examples, labels).
        truth: 0 or 1. Shape: (examples, labels).

    Returns:
        Logits, one a label.
    """
    return [_best(column, right) for column, right in zip(logits.T, truth.T, strict=True)]


def _best(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    order = np.argsort(-logits, kind="stable")
    ranked, hits = logits[order].astype(np.float64), np.cumsum(truth[order])
    given = np.arange(1, len(order) + 1)
    f1 = 2 * hits / (given + truth.sum())
    # Texts with the same logit cannot be told apart.
    f1[:-1][ranked[:-1] == ranked[1:]] = 0.0
    if not f1.any():
        return 0.0
    last = int(f1.argmax())
    below = ranked[last + 1] if last + 1 < len(ranked) else ranked[last] - 1.0
    return float((ranked[last] + below) / 2)


def micro_f1(given: NDArray[np.bool_], truth: NDArray[np.int64]) -> float:
    """Return F1 over all labels of all texts; 0 where there is none.

    Args:
        given: Shape: (examples, labels).
        truth: 0 or 1. Shape: (examples, labels).
    """
    both = int(given.sum() + truth.sum())
    return float(2 * (given & (truth > 0)).sum() / both) if both else 0.0

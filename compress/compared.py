"""What vectors of texts say about labelled pairs; the labels are those of `labelling`.

Works on arrays, so that nothing here needs torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from .labelling.compared_texts import DOCUMENT, QUERY

BLOCK = 512  # queries whose cosines to all documents are held at once


def pair_cosines(
    vectors: NDArray[np.float32], labels: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosine and the score of every pair.

    Args:
        vectors: Of length 1. Shape: (texts, width).
        labels: Number of the pair and its score; a text whose other is not there counts nowhere.
            Shape: (texts, 2).

    Returns:
        Shape: (pairs,) each.
    """
    order = np.argsort(labels[:, 0], kind="stable")
    numbers = labels[order, 0]
    firsts = np.flatnonzero(numbers[:-1] == numbers[1:])
    left, right = order[firsts], order[firsts + 1]
    cosines = (vectors[left].astype(np.float64) * vectors[right]).sum(axis=1)
    return cosines, labels[left, 1].astype(np.float64)


def document_ranks(vectors: NDArray[np.float32], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank, from 1, that every query gives its document among all documents.

    A document that is just as near counts as nearer.

    Args:
        vectors: Of length 1. Shape: (texts, width).
        labels: Number of the document and whether a text is a query (0) or the document (1); a
            query whose document is not there counts nowhere. Shape: (texts, 2).

    Returns:
        Shape: (queries,).
    """
    documents = np.flatnonzero(labels[:, 1] == DOCUMENT)
    place = {number: n for n, number in enumerate(labels[documents, 0].tolist())}
    asked = [
        (row, place[number])
        for row, (number, role) in enumerate(labels.tolist())
        if role == QUERY and number in place
    ]
    ranks = []
    for start in range(0, len(asked), BLOCK):
        rows, wanted = (list(column) for column in zip(*asked[start : start + BLOCK], strict=True))
        cosines = vectors[rows] @ vectors[documents].T
        own = cosines[np.arange(len(rows)), wanted]
        ranks.append((cosines >= own[:, None]).sum(axis=1))
    return np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.int64)


def ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of every value, the mean of theirs to equal ones. Shape: (values,)."""
    ranks: NDArray[np.float64] = rankdata(values)
    return ranks

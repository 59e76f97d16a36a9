"""Metrics of a classification over all classes; figures are scikit-learn's own.

Their intervals resample the confusion matrix: drawing as many examples with replacement makes its
cells multinomial, so that a resample costs no pass over the examples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from .intervals import SEED, Interval


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """How one label is told from the others.

    Attributes:
        examples: Texts that have it.
        precision: Fraction of the texts that get it that have it; 0 if none gets it.
        recall: Fraction of the texts that have it that get it; 0 if none has it.
        f1: Harmonic mean of the two.
    """

    examples: int
    precision: float
    recall: float
    f1: float


def class_metrics(
    truth: NDArray[np.int64], answers: NDArray[np.int64], labels: tuple[str, ...]
) -> dict[str, ClassMetrics]:
    """Precision, recall and F1 of every label.

    Args:
        truth: True class numbers, shape (examples,).
        answers: Answered class numbers, shape (examples,).
        labels: Label names in class order.
    """
    columns = metrics.precision_recall_fscore_support(
        truth, answers, labels=list(range(len(labels))), zero_division=0.0
    )
    return {
        label: ClassMetrics(
            examples=int(examples), precision=float(precision), recall=float(recall), f1=float(f1)
        )
        for label, precision, recall, f1, examples in zip(labels, *columns, strict=True)
    }


def macro_f1(
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    classes: int,
    confidence: float,
    resamples: int,
) -> Interval:
    """Mean of the labels' F1, whatever their share of the examples, by bootstrap.

    Args:
        truth: True class numbers, shape (examples,).
        answers: Answered class numbers, shape (examples,).
        classes: Labels of the task; one that neither occurs nor is answered counts as 0.
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
    """
    numbers = list(range(classes))
    value = metrics.f1_score(truth, answers, labels=numbers, average="macro", zero_division=0.0)
    cells = metrics.confusion_matrix(truth, answers, labels=numbers)
    true, answered = np.nonzero(cells)  # a cell that is empty stays empty, and most may be
    drawn = np.random.default_rng(SEED).multinomial(
        len(truth), cells[true, answered] / len(truth), size=resamples
    )
    each = np.eye(classes, dtype=np.int64)
    hits = drawn @ (each[true] * (true == answered)[:, None])
    means = (2 * hits / np.maximum(drawn @ (each[true] + each[answered]), 1)).mean(axis=1)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(float(value), float(low), float(high))

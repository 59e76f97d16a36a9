"""Whether an engine is right as often as its probabilities say."""

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_error(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int = BINS
) -> float:
    """Expected calibration error (Naeini et al. 2015; bins of equal width as in Guo et al. 2017).

    scikit-learn has none, and torchmetrics, whose figure this is, needs torch.

    Args:
        probabilities: Of every class, shape (examples, classes).
        truth: True class numbers, shape (examples,).
        bins: Bins between 0 and 1.

    Returns:
        Mean distance between stated and true frequency, weighted by the bins' examples, 0..1.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))

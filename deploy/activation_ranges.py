"""From what was seen of an activation to the range that its 256 steps cover."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import HistogramCollector

from .observed import BINS, Observed

PERCENTILE = 99.999
ENTROPY_STEPS = 128
ENTROPY_BINS = 1024  # its search is quadratic in them
MSE_CANDIDATES = 100

Range = tuple[float, float]


def minmax(seen: Observed, symmetric: bool) -> Range:
    """All that was seen."""
    del symmetric
    return seen.lowest, seen.highest


def percentile(seen: Observed, symmetric: bool) -> Range:
    """The range of 99.999 % of the values, as much cut off below as above."""
    del symmetric
    return _by_onnxruntime("percentile", seen)


def entropy(seen: Observed, symmetric: bool) -> Range:
    """The threshold whose 128 steps keep most of the distribution's information.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): least Kullback-Leibler divergence.
    """
    del symmetric
    return _by_onnxruntime("entropy", seen, ENTROPY_BINS)


def mse(seen: Observed, symmetric: bool) -> Range:
    """The threshold with the least mean squared error of rounding and clipping.

    As in `entropy`, one threshold bounds both ends, and neither goes beyond what was seen.
    Wu et al. 2020 (arXiv:2004.09602) compare the methods on BERT.
    """
    centres = (seen.edges[:-1] + seen.edges[1:]) / 2
    used = seen.counts > 0
    values, counts = centres[used], seen.counts[used]
    largest = max(-seen.lowest, seen.highest)
    thresholds = largest * np.arange(1, MSE_CANDIDATES + 1) / MSE_CANDIDATES
    ranges = [(max(seen.lowest, -limit), min(seen.highest, limit)) for limit in thresholds]
    errors = [_squared_error(values, counts, one, symmetric) for one in ranges]
    # The widest of equals: nothing is clipped without a reason.
    return ranges[len(errors) - 1 - int(np.argmin(errors[::-1]))]


METHODS: dict[str, Callable[[Observed, bool], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}


def activation_range(seen: Observed, method: str, symmetric: bool) -> Range:
    """Return lowest and highest value that the steps cover; 0 is always among them.

    Args:
        seen: What was seen of the activation.
        method: Name in METHODS.
        symmetric: The zero point is 0 (TensorRT), so that both ends are equally far away.
    """
    low, high = METHODS[method](seen, symmetric)
    low, high = min(low, 0.0), max(high, 0.0)
    return (-max(-low, high), max(-low, high)) if symmetric else (low, high)


def _by_onnxruntime(method: str, seen: Observed, bins: int = BINS) -> Range:
    collector = HistogramCollector(
        method,
        symmetric=False,
        num_bins=bins,
        num_quantized_bins=ENTROPY_STEPS,
        percentile=PERCENTILE,
        scenario="same",
    )
    lowest, highest = np.float32(seen.lowest), np.float32(seen.highest)
    counts, edges = seen.counts.reshape(bins, -1).sum(axis=1), seen.edges[:: BINS // bins]
    collector.histogram_dict["tensor"] = (counts, edges, lowest, highest, seen.limit)
    # It prints its progress to stdout, which belongs to the command's result.
    with contextlib.redirect_stdout(io.StringIO()):
        low, high = collector.compute_collection_result()["tensor"][:2]
    return float(low), float(high)


def _squared_error(
    values: NDArray[np.floating], counts: NDArray[np.int64], covered: Range, symmetric: bool
) -> float:
    low, high = min(covered[0], 0.0), max(covered[1], 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    step = (high - low) / (254 if symmetric else 255) or 1.0
    rounded = np.rint(values.clip(low, high) / step) * step
    return float(((rounded - values).astype(np.float64) ** 2 * counts).sum())

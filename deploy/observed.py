"""What was seen of one activation, in a memory that does not grow with it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BINS = 2048


@dataclass
class Observed:
    """Range and histogram of a tensor.

    The histogram spans [-limit, limit). Where a value falls outside, the limit doubles and bins
    merge in pairs, so that counts stay exact and their number the same: onnxruntime's own
    HistogramCollector adds bins instead, without bound where the first text is a quiet one.

    Attributes:
        lowest: Smallest value seen.
        highest: Largest value seen.
        limit: A power of two above every magnitude seen; 0 as long as all values were 0.
        counts: Values in each bin, int64 (BINS,).
    """

    lowest: float = np.inf
    highest: float = -np.inf
    limit: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))

    @property
    def edges(self) -> NDArray[np.float32]:
        """Borders of the bins, (BINS + 1,)."""
        return np.linspace(-self.limit, self.limit, BINS + 1, dtype=np.float32)

    def add(self, values: NDArray[np.float32]) -> bool:
        """Take in an array of any shape; False, and nothing taken in, where one is not finite."""
        lowest, highest = float(values.min()), float(values.max())
        if not np.isfinite([lowest, highest]).all():
            return False
        self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)
        self._widen(max(-lowest, highest))
        # Scaling by a power of two is exact, so that the floor is the bin without any clipping.
        scale = np.float32(BINS / 2 / self.limit if self.limit else 0)
        bins = np.floor(values.reshape(-1) * scale).astype(np.int32) + BINS // 2
        self.counts += np.bincount(bins, minlength=BINS)
        return True

    def _widen(self, largest: float) -> None:
        needed = float(2.0 ** np.frexp(largest)[1]) if largest else 0.0
        self.limit = self.limit or needed  # zeros lie in the same bin whatever the limit
        while self.limit < needed:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            self.counts[BINS // 4 : BINS // 4 + BINS // 2] = merged
            self.limit *= 2

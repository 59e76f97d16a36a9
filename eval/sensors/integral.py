"""Energy from power that is read now and then."""

from collections.abc import Mapping


class Integral:
    """Sums power over time, by the trapezoidal rule."""

    def __init__(self) -> None:
        self._before: tuple[float, Mapping[str, float]] | None = None
        self._energy_j: dict[str, float] = {}

    def add(self, now_s: float, power_w: Mapping[str, float]) -> dict[str, float]:
        """Take one more reading.

        Args:
            now_s: When it was read.
            power_w: By rail.

        Returns:
            Energy since the first reading, in joules, by rail.
        """
        then_s, before_w = self._before or (now_s, power_w)
        for rail, watts in power_w.items():
            mean_w = (watts + before_w[rail]) / 2
            self._energy_j[rail] = self._energy_j.get(rail, 0.0) + mean_w * (now_s - then_s)
        self._before = (now_s, power_w)
        return dict(self._energy_j)

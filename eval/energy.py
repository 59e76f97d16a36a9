"""Energy of stretches of work, from a sensor that is sampled beside them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .sensors import Sensor

INTERVAL_S = 0.02
IDLE_S = 5.0
IDLE = "idle"


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """All that was watched under one name.

    Attributes:
        seconds: How long it took.
        energy_j: Energy of all that the sensor sees.
        rails: What that is: one rail that holds all others, or those that were summed.
        by_rail_j: Of each rail.
    """

    seconds: float
    energy_j: float
    rails: tuple[str, ...]
    by_rail_j: dict[str, float]

    @property
    def power_w(self) -> float:
        """Mean power."""
        return self.energy_j / self.seconds


class EnergyMeter:
    """Samples a sensor in a thread of its own while something is watched.

    Args:
        sensor: None measures nothing.

    Attributes:
        lost: Why nothing more is measured; None as long as the sensor answers.
    """

    def __init__(self, sensor: Sensor | None) -> None:
        self._sensor = sensor
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self._by_rail_j: dict[str, dict[str, float]] = {}
        self.lost: str | None = None

    def rest(self, seconds: float = IDLE_S) -> None:
        """Watch the machine do nothing."""
        if self._sensor is not None:
            with self.watch(IDLE):
                time.sleep(seconds)

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Add the energy of the block to that of its name."""
        started_s, before_j = self._sample()
        done = threading.Event()
        sampler = threading.Thread(target=self._keep_sampling, args=(done,))
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()
        ended_s, after_j = self._sample()
        self._seconds[name] = self._seconds.get(name, 0.0) + ended_s - started_s
        total_j = self._by_rail_j.setdefault(name, {})
        for rail, before in before_j.items():
            if rail in after_j:
                total_j[rail] = total_j.get(rail, 0.0) + after_j[rail] - before

    def stretch(self, name: str) -> Stretch | None:
        """Return what was watched under a name; None if it was not measured, or not to its end."""
        if self._sensor is None or self.lost is not None or name not in self._seconds:
            return None
        by_rail_j = self._by_rail_j[name]
        rails = tuple(rail for rail in self._sensor.wholes if rail in by_rail_j)[:1]
        rails = rails or tuple(by_rail_j)
        return Stretch(
            seconds=self._seconds[name],
            energy_j=sum(by_rail_j[rail] for rail in rails),
            rails=rails,
            by_rail_j=by_rail_j,
        )

    def above_idle_j(self, name: str) -> float | None:
        """Return the energy of a stretch without what the machine takes doing nothing."""
        stretch, idle = self.stretch(name), self.stretch(IDLE)
        if stretch is None or idle is None:
            return None
        return stretch.energy_j - idle.power_w * stretch.seconds

    def _keep_sampling(self, done: threading.Event) -> None:
        while self._sensor is not None and self.lost is None and not done.wait(INTERVAL_S):
            self._sample()

    def _sample(self) -> tuple[float, dict[str, float]]:
        """Time in seconds, and energy in joules by rail; none if the sensor is gone."""
        with self._lock:
            energy_j: dict[str, float] = {}
            if self._sensor is not None and self.lost is None:
                try:
                    energy_j = self._sensor.sample()
                except (OSError, ValueError) as error:  # a driver that goes leaves empty files
                    self.lost = f"{self._sensor.name} vanished while measuring: {error}"
            return time.perf_counter(), energy_j

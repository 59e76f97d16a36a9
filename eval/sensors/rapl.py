"""The energy counters of x86 processors (RAPL), through Linux's powercap."""

from pathlib import Path

ZONES = "sys/class/powercap"


class Rapl:
    """One counter a processor package.

    Args:
        zones: Folder of each package, by its name.
    """

    name = "rapl"
    wholes = ()

    def __init__(self, zones: dict[str, Path]) -> None:
        self._zones = zones
        self._before_uj = {name: _read(zone / "energy_uj") for name, zone in zones.items()}
        self._range_uj = {name: _read(zone / "max_energy_range_uj") for name, zone in zones.items()}
        self._energy_uj = dict.fromkeys(zones, 0)

    def sample(self) -> dict[str, float]:
        """Read energy so far in joules, by package; counters start again at 0 when full."""
        for name, zone in self._zones.items():
            now_uj = _read(zone / "energy_uj")
            step_uj = now_uj - self._before_uj[name]
            if step_uj < 0:
                step_uj += self._range_uj[name]
            self._energy_uj[name] += step_uj
            self._before_uj[name] = now_uj
        return {name: energy_uj / 1e6 for name, energy_uj in self._energy_uj.items()}

    def close(self) -> None:
        """Nothing is held open."""


def open_sensor(root: Path) -> Rapl | str:
    """Open the counters, or say why there are none."""
    names = sorted((root / ZONES).glob("intel-rapl:*/name"))  # AMD's too are called so
    packages = {path.read_text().strip(): path.parent for path in names}
    packages = {name: zone for name, zone in packages.items() if name.startswith("package")}
    if not packages:
        return f"no package counter below {root / ZONES}"
    try:
        return Rapl(packages)
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror}); reading it may need root"


def _read(path: Path) -> int:
    return int(path.read_text())

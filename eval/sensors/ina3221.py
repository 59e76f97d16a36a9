"""The INA3221 power monitors of a Jetson, through sysfs.

JetPack 5 and later show them as hwmon devices with volts and amperes of each channel, JetPack 4
as iio devices that give the power. Channels called NC are not connected; channel 7 is the sum of
shunt voltages, no rail.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .integral import Integral

DEVICES = "sys/bus/i2c/devices"
SUM_OF_SHUNTS = 7

ReadPower = Callable[[], float]  # watts


class Ina3221:
    """All connected rails of all monitors.

    Args:
        rails: How the power of each is read, in watts.
    """

    name = "ina3221"
    wholes = ("VDD_IN", "POM_5V_IN")

    def __init__(self, rails: dict[str, ReadPower]) -> None:
        self._rails = rails
        self._integral = Integral()

    def sample(self) -> dict[str, float]:
        """Read energy so far in joules, by rail."""
        power_w = {rail: read_w() for rail, read_w in self._rails.items()}
        return self._integral.add(time.perf_counter(), power_w)

    def close(self) -> None:
        """Nothing is held open."""


def open_sensor(root: Path) -> Ina3221 | str:
    """Open the monitors, or say why there are none."""
    folder = root / DEVICES
    names = sorted(folder.glob("*/name"))
    monitors = [path.parent for path in names if "ina3221" in path.read_text()]
    if not monitors:
        return f"no ina3221 below {folder}"
    rails = dict(rail for monitor in monitors for rail in _rails(monitor))
    if not rails:
        return f"no connected rail below {monitors[0]}"
    try:
        Ina3221(rails).sample()
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    return Ina3221(rails)


def _rails(monitor: Path) -> Iterator[tuple[str, ReadPower]]:
    for label in sorted(monitor.glob("hwmon/hwmon*/in*_label")):
        channel, rail = label.name[2 : -len("_label")], label.read_text().strip()
        if "NC" not in rail.split() and int(channel) != SUM_OF_SHUNTS:
            volts, amperes = (
                label.with_name(f"{quantity}{channel}_input") for quantity in ("in", "curr")
            )
            yield rail, _product_w(volts, amperes)
    for label in sorted(monitor.glob("iio:device*/rail_name_*")):
        channel = label.name.rpartition("_")[2]
        yield label.read_text().strip(), _power_w(label.with_name(f"in_power{channel}_input"))


def _product_w(millivolts: Path, milliamperes: Path) -> ReadPower:
    return lambda: int(millivolts.read_text()) * int(milliamperes.read_text()) / 1e6


def _power_w(milliwatts: Path) -> ReadPower:
    return lambda: int(milliwatts.read_text()) / 1e3

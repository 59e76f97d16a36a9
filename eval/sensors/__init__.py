"""What a machine measures its own power with: one file a kind of sensor, one row here."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol


class Sensor(Protocol):
    """Something that is asked again and again how much energy has been used.

    Attributes:
        name: Row of SENSORS.
        wholes: Rails that hold all the others, the best first; if a machine has none of them, the
            sum of all its rails is the whole.
    """

    name: str
    wholes: tuple[str, ...]

    def sample(self) -> dict[str, float]:
        """Read the energy used since the sensor was opened, in joules, by rail.

        Raises:
            OSError: The sensor is gone.
        """

    def close(self) -> None:
        """Let go of what the sensor holds."""


# (folder that stands for /) -> the sensor, or why it is not there; the best first.
SENSORS: dict[str, str] = {
    "ina3221": "pocketbert.eval.sensors.ina3221:open_sensor",
    "tegrastats": "pocketbert.eval.sensors.tegrastats:open_sensor",
    "rapl": "pocketbert.eval.sensors.rapl:open_sensor",
}


def find_sensor(root: Path = Path("/")) -> tuple[Sensor | None, dict[str, str]]:
    """Open the first sensor that is there.

    Args:
        root: Folder that stands for /.

    Returns:
        The sensor, or None; and for every sensor that was looked for, what was found.
    """
    found: dict[str, str] = {}
    for name, row in SENSORS.items():
        module, function = row.split(":")
        opener: Callable[[Path], Sensor | str] = getattr(import_module(module), function)
        opened = opener(root)
        if not isinstance(opened, str):
            return opened, found | {name: "used"}
        found[name] = f"absent: {opened}"
    return None, found

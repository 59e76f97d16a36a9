"""Power as tegrastats prints it, for a Jetson whose monitors sysfs does not show."""

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from .integral import Integral

INTERVAL_MS = 50
FIRST_LINE_S = 2.0
# "VDD_IN 4980mW/4975mW": now and the mean so far; JetPack 4 leaves out the unit.
RAIL = re.compile(r"\b([A-Z][A-Z0-9_]+) (-?\d+)(?:mW)?/-?\d+(?:mW)?(?=\s|$)")


def parse_rails(line: str) -> dict[str, float]:
    """Read the power of each rail in watts from a line of tegrastats; empty if it has none."""
    return {rail: int(now_mw) / 1e3 for rail, now_mw in RAIL.findall(line)}


class Tegrastats:
    """A running tegrastats.

    Args:
        program: Its path.
    """

    name = "tegrastats"
    wholes = ("VDD_IN", "POM_5V_IN", "VIN")

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [program, "--interval", str(INTERVAL_MS)], stdout=subprocess.PIPE, text=True
        )
        self._integral = Integral()
        self._power_w: dict[str, float] = {}
        self._first = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self) -> bool:
        """Wait for the first line that has rails; say whether one came."""
        return self._first.wait(FIRST_LINE_S)

    def sample(self) -> dict[str, float]:
        """Read energy so far in joules, by rail."""
        if self._process.poll() is not None:
            raise OSError(f"tegrastats ended with code {self._process.returncode}")
        return self._integral.add(time.perf_counter(), self._power_w)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                rails = parse_rails(line)
                if rails:
                    self._power_w = rails
                    self._first.set()


def open_sensor(root: Path) -> Tegrastats | str:
    """Start tegrastats, or say why it does not serve."""
    program = shutil.which("tegrastats", path=str(root / "usr/bin"))
    if program is None:
        return f"no tegrastats in {root / 'usr/bin'}"
    sensor = Tegrastats(program)
    if sensor.wait():
        return sensor
    sensor.close()
    return f"{program} prints no power of any rail"

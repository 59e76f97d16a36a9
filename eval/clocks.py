"""Power mode, clocks and temperatures: what decides how fast a board is at the moment."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NVPMODEL_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A clock of a processor, in MHz.

    Attributes:
        now: What it runs at.
        low: Least that its governor may choose.
        high: Most that its governor may choose.
        governor: Who chooses.
    """

    now: float
    low: float
    high: float
    governor: str


@dataclass(frozen=True, kw_only=True)
class PowerState:
    """How a board is set.

    Attributes:
        power_mode: As `nvpmodel -q` says it, such as "25W (1)"; or why there is none.
        cpus: Clock of each processor that shows one.
        gpus: Clock of each device that shows one in devfreq, a Jetson's GPU among them.
        locked: Every clock has one value to choose from, as `jetson_clocks` leaves it; None if no
            clock can be read.
        temperatures_c: Of each thermal zone.
    """

    power_mode: str
    cpus: dict[str, Clock]
    gpus: dict[str, Clock]
    locked: bool | None
    temperatures_c: dict[str, float]


def read_power_state(root: Path = Path("/")) -> PowerState:
    """Look at this machine.

    Args:
        root: Folder that stands for /.
    """
    cpus = {
        folder.parent.name: clock
        for folder in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
        if (clock := _clock(folder, "scaling_cur_freq", "scaling_{}_freq", "scaling_governor", 1e3))
    }
    gpus = {
        folder.name: clock
        for folder in sorted((root / "sys/class/devfreq").glob("*"))
        if (clock := _clock(folder, "cur_freq", "{}_freq", "governor", 1e6))
    }
    clocks = [*cpus.values(), *gpus.values()]
    return PowerState(
        power_mode=_power_mode(root),
        cpus=cpus,
        gpus=gpus,
        locked=all(clock.low == clock.high for clock in clocks) if clocks else None,
        temperatures_c=_temperatures(root),
    )


def parse_nvpmodel(text: str) -> str | None:
    """Read `nvpmodel -q`: "NV Power Mode: 25W" and its number on the next line."""
    found = re.search(r"NV Power Mode: (.+?)\s*\n\s*(\d+)\s*$", text, re.MULTILINE)
    return f"{found[1]} ({found[2]})" if found else None


def _power_mode(root: Path) -> str:
    program = shutil.which("nvpmodel", path=f"{root / 'usr/sbin'}:{root / 'usr/bin'}")
    if program is None:
        return "absent: no nvpmodel"
    try:
        asked = subprocess.run(
            [program, "-q"],
            capture_output=True,
            text=True,
            timeout=NVPMODEL_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"absent: {program} -q does not answer"
    said = (asked.stderr.strip() or asked.stdout.strip()).partition("\n")[0]
    return parse_nvpmodel(asked.stdout) or f"absent: {program} -q says {said!r}"


def _clock(folder: Path, now: str, bound: str, governor: str, unit: float) -> Clock | None:
    try:
        low, high = (float((folder / bound.format(end)).read_text()) for end in ("min", "max"))
        return Clock(
            now=float((folder / now).read_text()) / unit,
            low=low / unit,
            high=high / unit,
            governor=(folder / governor).read_text().strip(),
        )
    except (OSError, ValueError):  # a processor that is switched off shows none
        return None


def _temperatures(root: Path) -> dict[str, float]:
    temperatures_c = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        try:
            name = (zone / "type").read_text().strip()
            temperatures_c[name] = int((zone / "temp").read_text()) / 1e3
        except (OSError, ValueError):  # a zone of a block that is switched off cannot be read
            continue
    return temperatures_c

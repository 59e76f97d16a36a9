"""On what and with what it was measured."""

import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

# Those that decide how fast INT8 and BF16 products run.
INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "I8MM",
    "bf16": "NEON BF16",
    "sve": "SVE",
}
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "openvino",
    "tokenizers",
    "torch",
    "transformers",
    "onnx",
    "scipy",
    "scikit-learn",
    "mlcommons_loadgen",
)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A machine and its software.

    Attributes:
        cpu: Model name of the processor.
        instruction_sets: Those of INSTRUCTION_SETS that it has.
        cpus: Processors that this process may use.
        governor: Frequency governor, where it can be read.
        power_mode: Power profile of the platform, where it has one.
        load_average: Runnable processes, mean of the last minute, where it can be read.
        memory_bytes: Installed memory, where it can be read.
        system: Operating system.
        python: Version of Python.
        libraries: Versions of the installed ones of LIBRARIES.
        measured_at: When, UTC, ISO 8601.
    """

    cpu: str
    instruction_sets: tuple[str, ...]
    cpus: int
    governor: str | None
    load_average: float | None
    memory_bytes: int | None
    system: str
    python: str
    libraries: dict[str, str]
    measured_at: str
    power_mode: str | None = None


def describe_environment() -> Environment:
    """Describe this machine as it is now."""
    cpuinfo = _cpuinfo()
    flags = set(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())
    return Environment(
        cpu=cpuinfo.get("model name") or platform.processor() or platform.machine(),
        instruction_sets=tuple(name for flag, name in INSTRUCTION_SETS.items() if flag in flags),
        cpus=len(usable_cpus()),
        governor=_governor(),
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        memory_bytes=_memory_bytes(),
        system=platform.platform(),
        python=platform.python_version(),
        libraries=_libraries(),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        power_mode=_power_mode(),
    )


def usable_cpus() -> list[int]:
    """Numbers of the processors that this process may run on, rising."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _governor() -> str | None:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else None


def _power_mode() -> str | None:
    """The ACPI platform profile, or on a Jetson the mode that nvpmodel has set."""
    for place in ("/sys/firmware/acpi/platform_profile", "/var/lib/nvpmodel/status"):
        if Path(place).is_file():
            return Path(place).read_text().strip()
    return None


def _memory_bytes() -> int | None:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _libraries() -> dict[str, str]:
    installed = {distribution.name for distribution in metadata.distributions()}
    return {name: metadata.version(name) for name in LIBRARIES if name in installed}

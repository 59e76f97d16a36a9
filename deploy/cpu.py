"""Which INT8 layouts this machine's processor runs correctly and fast."""

import platform
from pathlib import Path
from typing import Literal

Isa = Literal["any", "x86_64", "x86_64_vnni", "arm64"]

CPUINFO = Path("/proc/cpuinfo")


def available_isas() -> tuple[Isa, ...]:
    """Instruction sets of this machine, the best first."""
    cpuinfo = CPUINFO.read_text() if CPUINFO.is_file() else ""
    return isas_of(platform.machine(), cpuinfo)


def isas_of(machine: str, cpuinfo: str) -> tuple[Isa, ...]:
    """Instruction sets of a machine, the best first.

    VNNI is only believed where the kernel says so: without it, products of 8-bit weights saturate.

    Args:
        machine: What `platform.machine()` says.
        cpuinfo: Contents of Linux' /proc/cpuinfo, empty on other systems.
    """
    if machine.lower() in ("aarch64", "arm64"):
        return ("arm64", "any")
    if machine.lower() in ("x86_64", "amd64"):
        flags = set(cpuinfo.split())
        if flags & {"avx512_vnni", "avx_vnni"}:
            return ("x86_64_vnni", "x86_64", "any")
        return ("x86_64", "any")
    return ("any",)

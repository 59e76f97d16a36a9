"""Folders that stand for / of boards: the files that sensors and clocks are read from."""

from pathlib import Path


def put(root: Path, path: str, content: object) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{content}\n")
    return file


def program(root: Path, path: str, script: str) -> None:
    put(root, path, f"#!/bin/sh\n{script}").chmod(0o755)


def orin(root: Path, milliamperes: int = 1000) -> Path:
    """An Orin of JetPack 5 to 7: 5 V times what VDD_IN takes, one rail within it, one not used."""
    monitor = "sys/bus/i2c/devices/1-0040"
    put(root, f"{monitor}/name", "ina3221")
    rails = [("VDD_IN", milliamperes), ("VDD_CPU_GPU_CV", milliamperes // 2), ("NC", 7)]
    for channel, (rail, current) in enumerate(rails, start=1):
        put(root, f"{monitor}/hwmon/hwmon4/in{channel}_label", rail)
        put(root, f"{monitor}/hwmon/hwmon4/in{channel}_input", 5000)
        put(root, f"{monitor}/hwmon/hwmon4/curr{channel}_input", current)
    put(root, f"{monitor}/hwmon/hwmon4/in7_label", "sum of shunt voltages")
    put(root, "sys/bus/i2c/devices/0-0050/name", "24c02")
    put(root, "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: x")
    program(root, "usr/sbin/nvpmodel", 'echo "NV Power Mode: MAXN_SUPER"; echo 2')
    for cpu in (0, 1):
        folder = f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        clock(root, folder, "scaling_{}_freq", 1_728_000, 729_600)
        put(root, f"{folder}/scaling_cur_freq", 1_344_000)
        put(root, f"{folder}/scaling_governor", "schedutil")
    gpu = "sys/class/devfreq/17000000.gpu"
    clock(root, gpu, "{}_freq", 1_020_000_000, 306_000_000)
    put(root, f"{gpu}/cur_freq", 612_000_000)
    put(root, f"{gpu}/governor", "nvhost_podgov")
    put(root, "sys/class/thermal/thermal_zone0/type", "cpu-thermal")
    put(root, "sys/class/thermal/thermal_zone0/temp", 48906)
    put(root, "sys/class/thermal/thermal_zone1/type", "cv0-thermal")  # is off: has no temp
    return root


def clock(root: Path, folder: str, name: str, high: int, low: int) -> None:
    put(root, f"{folder}/{name.format('max')}", high)
    put(root, f"{folder}/{name.format('min')}", low)


def set_current(root: Path, milliamperes: int) -> None:
    put(root, "sys/bus/i2c/devices/1-0040/hwmon/hwmon4/curr1_input", milliamperes)


def xavier(root: Path) -> Path:
    """JetPack 4: iio devices that give milliwatts."""
    for address, rails in (("1-0040", ("GPU", "CPU")), ("1-0041", ("SYS5V",))):
        device = f"sys/bus/i2c/devices/{address}"
        put(root, f"{device}/name", "ina3221x")
        for channel, rail in enumerate(rails):
            put(root, f"{device}/iio:device0/rail_name_{channel}", rail)
            put(root, f"{device}/iio:device0/in_power{channel}_input", 2000)
    return root


def epyc(root: Path, *energy_uj: int) -> Path:
    """One package after the other, each with a part of its own, and the whole of a laptop."""
    for number, count in enumerate(energy_uj):
        zone = f"sys/class/powercap/intel-rapl:{number}"
        put(root, f"{zone}/name", f"package-{number}")
        put(root, f"{zone}/energy_uj", count)
        put(root, f"{zone}/max_energy_range_uj", 1_000_000)
        put(root, f"{zone.replace('rapl:', f'rapl:{number}:')}/name", "core")
    return root

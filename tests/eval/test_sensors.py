"""Sensors, clocks and power modes on made-up boards."""

import json
import threading
import time

import pytest

from pocketbert.eval.clocks import parse_nvpmodel, read_power_state
from pocketbert.eval.energy import IDLE, EnergyMeter
from pocketbert.eval.sensors import SENSORS, find_sensor
from pocketbert.eval.sensors.integral import Integral
from pocketbert.eval.sensors.tegrastats import parse_rails

from . import made_up_board as board

ORIN_LINE = (
    "04-27-2026 14:59:43 RAM 775/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [0%@729,0%@729,off,off] EMC_FREQ 0%@2133 GR3D_FREQ 14%@[420] cpu@48.562C tj@49.062C "
    "VDD_IN 4761mW/4777mW VDD_CPU_GPU_CV 515mW/502mW VDD_SOC 1428mW/1428mW"
)
XAVIER_LINE = (
    "RAM 2673/7765MB (lfb 118x4MB) SWAP 0/3883MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [12%@1190,off] EMC_FREQ 7% GR3D_FREQ 33% AO@35C PMIC@100C VDD_IN 3902/3611 VDD_SOC 997/941"
)


def test_power_is_summed_over_time():
    integral = Integral()
    assert integral.add(10.0, {"a": 2.0, "b": 1.0}) == {"a": 0.0, "b": 0.0}
    assert integral.add(12.0, {"a": 4.0, "b": 1.0}) == {"a": 6.0, "b": 2.0}
    assert integral.add(13.0, {"a": 0.0, "b": 3.0}) == {"a": 8.0, "b": 4.0}


def test_rails_of_an_orin(tmp_path):
    sensor, found = find_sensor(board.orin(tmp_path, milliamperes=1000))
    assert (sensor.name, found) == ("ina3221", {"ina3221": "used"})
    first = sensor.sample()
    assert set(first) == {"VDD_IN", "VDD_CPU_GPU_CV"}
    started_s = time.perf_counter()
    time.sleep(0.2)
    after = sensor.sample()
    seconds = time.perf_counter() - started_s
    assert after["VDD_IN"] == pytest.approx(5.0 * seconds, rel=0.5)
    assert after["VDD_CPU_GPU_CV"] == pytest.approx(after["VDD_IN"] / 2)


def test_rails_of_jetpack_4(tmp_path):
    sensor, _ = find_sensor(board.xavier(tmp_path))
    meter = EnergyMeter(sensor)
    with meter.watch("work"):
        time.sleep(0.2)
    stretch = meter.stretch("work")
    assert set(stretch.by_rail_j) == {"GPU", "CPU", "SYS5V"}
    assert stretch.rails == ("GPU", "CPU", "SYS5V")  # none holds the others
    assert stretch.energy_j == pytest.approx(sum(stretch.by_rail_j.values()))
    assert 3 < stretch.power_w < 12  # 6 W, on a machine that may be busy


def test_counters_of_packages_wrap(tmp_path):
    sensor, found = find_sensor(board.epyc(tmp_path, 900_000, 5_000))
    assert (sensor.name, found["rapl"]) == ("rapl", "used")
    board.put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", 100_000)
    board.put(tmp_path, "sys/class/powercap/intel-rapl:1/energy_uj", 65_000)
    assert sensor.sample() == {"package-0": 0.2, "package-1": 0.06}
    board.put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", 400_000)
    assert sensor.sample() == {"package-0": 0.5, "package-1": 0.06}


def test_what_is_absent_is_said(tmp_path):
    sensor, found = find_sensor(tmp_path)
    assert sensor is None
    assert set(found) == set(SENSORS)
    assert all(said.startswith("absent: no ") for said in found.values())
    meter = EnergyMeter(sensor)
    meter.rest(60)  # of nothing: returns at once
    with meter.watch("work"):
        pass
    assert (meter.stretch("work"), meter.above_idle_j("work")) == (None, None)


def test_a_counter_without_content_is_said(tmp_path):
    board.epyc(tmp_path, 5)
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    sensor, found = find_sensor(tmp_path)
    assert sensor is None
    assert (
        "energy_uj cannot be read (No such file or directory); reading it may need root"
        in found["rapl"]
    )


def test_idle_power_is_subtracted(tmp_path):
    board.orin(tmp_path, milliamperes=1000)  # 5 W
    sensor, _ = find_sensor(tmp_path)
    meter = EnergyMeter(sensor)
    meter.rest(0.2)
    board.set_current(tmp_path, 1800)  # 9 W
    for _ in range(2):
        with meter.watch("work"):
            time.sleep(0.15)
    assert meter.stretch(IDLE).power_w == pytest.approx(5.0, rel=0.1)
    work = meter.stretch("work")
    assert (work.rails, work.power_w) == (("VDD_IN",), pytest.approx(9.0, rel=0.1))
    assert work.seconds >= 0.3
    assert meter.above_idle_j("work") == pytest.approx(4.0 * work.seconds, rel=0.2)


def test_power_between_start_and_end_counts(tmp_path):
    board.orin(tmp_path, milliamperes=1000)
    sensor, _ = find_sensor(tmp_path)
    meter = EnergyMeter(sensor)
    with meter.watch("work"):
        time.sleep(0.1)
        board.set_current(tmp_path, 3000)
        time.sleep(0.2)
        board.set_current(tmp_path, 1000)
        time.sleep(0.1)
    assert 6 < meter.stretch("work").power_w < 14


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_sensor_that_vanishes_is_said(tmp_path, how):
    board.orin(tmp_path)
    sensor, _ = find_sensor(tmp_path)
    meter = EnergyMeter(sensor)
    meter.rest(0.05)
    current = tmp_path / "sys/bus/i2c/devices/1-0040/hwmon/hwmon4/curr1_input"

    def vanish():
        current.unlink() if how == "gone" else current.write_text("")

    timer = threading.Timer(0.05, vanish)
    with meter.watch("work"):
        timer.start()
        time.sleep(0.2)
    timer.join()
    assert meter.lost.startswith("ina3221 vanished while measuring: ")
    assert (meter.stretch("work"), meter.above_idle_j("work")) == (None, None)


def test_lines_of_tegrastats():
    assert parse_rails(ORIN_LINE) == {"VDD_IN": 4.761, "VDD_CPU_GPU_CV": 0.515, "VDD_SOC": 1.428}
    assert parse_rails(XAVIER_LINE) == {"VDD_IN": 3.902, "VDD_SOC": 0.997}
    assert parse_rails("VDD_GPU -392mW/10mW VIN 23000mW/22900mW") == {
        "VDD_GPU": -0.392,
        "VIN": 23.0,
    }
    assert parse_rails("RAM 900/3956MB CPU [5%@102] GR3D_FREQ 0%") == {}


def test_tegrastats_serves_where_sysfs_shows_nothing(tmp_path):
    board.program(
        tmp_path, "usr/bin/tegrastats", f'while :; do echo "{ORIN_LINE}"; sleep 0.02; done'
    )
    sensor, found = find_sensor(tmp_path)
    assert found["ina3221"].startswith("absent: no ina3221")
    meter = EnergyMeter(sensor)
    with meter.watch("work"):
        time.sleep(0.2)
    assert meter.stretch("work").power_w == pytest.approx(4.761, rel=0.1)
    sensor.close()
    with meter.watch("later"):
        pass
    assert meter.lost.startswith("tegrastats vanished while measuring: tegrastats ended")


def test_tegrastats_without_rails_is_absent(tmp_path):
    board.program(tmp_path, "usr/bin/tegrastats", "echo RAM 900/3956MB; sleep 0.1")
    sensor, found = find_sensor(tmp_path)
    assert sensor is None
    assert found["tegrastats"].endswith("tegrastats prints no power of any rail")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: 25W\n1\n", "25W (1)"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n", "MAXN (0)"),
        ("NVPM VERB: Current mode: NV Power Mode: MODE_15W_6CORE\n2\n", "MODE_15W_6CORE (2)"),
        ("NVPM ERROR: failed to read PARAM ARG CPU_ONLINE", None),
    ],
)
def test_nvpmodel(text, mode):
    assert parse_nvpmodel(text) == mode


def test_power_state_of_an_orin(tmp_path):
    state = read_power_state(board.orin(tmp_path))
    assert state.power_mode == "MAXN_SUPER (2)"
    assert set(state.cpus) == {"cpu0", "cpu1"}
    assert (state.cpus["cpu0"].now, state.cpus["cpu0"].high) == (1344.0, 1728.0)
    gpu = state.gpus["17000000.gpu"]
    assert (gpu.now, gpu.low, gpu.high, gpu.governor) == (612.0, 306.0, 1020.0, "nvhost_podgov")
    assert state.locked is False
    assert state.temperatures_c == {"cpu-thermal": 48.906}
    for cpu in (0, 1):  # as jetson_clocks leaves it
        folder = f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        board.clock(tmp_path, folder, "scaling_{}_freq", 1_728_000, 1_728_000)
    assert read_power_state(tmp_path).locked is False
    board.clock(tmp_path, "sys/class/devfreq/17000000.gpu", "{}_freq", 1_020_000_000, 1_020_000_000)
    assert read_power_state(tmp_path).locked is True


def test_power_state_of_nothing(tmp_path):
    state = read_power_state(tmp_path)
    assert (state.power_mode, state.locked) == ("absent: no nvpmodel", None)
    board.program(tmp_path, "usr/sbin/nvpmodel", "echo NVPM ERROR: no rights >&2; exit 1")
    assert read_power_state(tmp_path).power_mode.endswith("-q says 'NVPM ERROR: no rights'")


def test_this_machine_can_be_looked_at():
    assert json.dumps(sorted(find_sensor()[1]))
    assert read_power_state().power_mode

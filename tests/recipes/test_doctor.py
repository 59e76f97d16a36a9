import re
from pathlib import Path

import pocketbert.recipes.doctor as doctor
from pocketbert.deploy.cpu import available_isas


def test_says_what_this_machine_is():
    diagnosis = doctor.diagnose()
    assert diagnosis.int8_isa == available_isas()[0]
    assert diagnosis.free_disk_bytes > 0
    assert diagnosis.targets["openvino"].startswith("ready (openvino 20")
    assert re.match(r"ready|missing: .*(install|driver|GPU)", diagnosis.targets["tensorrt"])


def test_every_package_it_asks_for_is_one_that_the_extra_installs():
    import tomllib

    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = project["optional-dependencies"]
    for command, packages in doctor.EXTRAS.values():
        named = re.findall(r"[a-z]+", command.partition("[")[2])
        offered = project["dependencies"] + [line for name in named for line in extras[name]]
        names = {re.match(r"[\w-]+", line)[0] for line in offered}
        assert set(packages) <= names


def test_a_missing_package_comes_with_the_command_that_installs_it():
    ability = doctor._ability("fly", "pocketbert[wings]", ("numpy", "no-such-package-here"))
    assert ability.missing == ("no-such-package-here",)
    assert list(ability.versions) == ["numpy"]
    assert ability.install == "pip install 'pocketbert[wings]'"


def test_a_missing_module_is_traced_to_the_extra_that_brings_it():
    assert doctor.extra_with("scipy.stats") == "pocketbert[report]"
    assert doctor.extra_with("pypi_simple") == "pocketbert[compress,report]"
    assert doctor.extra_with("no_such_module") is None

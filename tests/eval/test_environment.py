from importlib import metadata

from pocketbert.eval.environment import describe_environment


def test_environment_names_machine_and_versions():
    environment = describe_environment()
    assert environment.cpu
    assert environment.cpus >= 1
    assert environment.libraries["numpy"] == metadata.version("numpy")
    assert environment.measured_at.endswith("+00:00")

"""The base install, clean, in the Pythons of JetPack 6 and 7: what is in it and that it works.

Needs the package index and some minutes: marked slow.
"""

import json

import pytest

from .device_environment import JETPACK, build_wheel, find_python, make_environment

# tokenizers brings huggingface-hub and with it an HTTP client, which nothing here calls.
EVERYWHERE = {
    *("pocketbert", "numpy", "onnxruntime", "tokenizers", "pydantic", "pyyaml", "typer", "rich"),
    *("annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"),
    *("flatbuffers", "packaging", "protobuf"),
    *("huggingface-hub", "filelock", "fsspec", "hf-xet", "tqdm"),
    *("anyio", "h11", "httpcore2", "httpx2", "idna", "truststore", "click"),
    *("annotated-doc", "shellingham", "markdown-it-py", "mdurl", "pygments"),
}
FURTHER = {  # the ONNX Runtime of Python 3.10 is older
    "3.10": {"coloredlogs", "humanfriendly", "sympy", "mpmath", "exceptiongroup", "tomli"},
    "3.12": set(),
}
VERSIONS = {
    "3.10": {"onnxruntime": "1.23.2", "numpy": "2.2.6"},
    "3.12": {"onnxruntime": "1.31.1", "numpy": "2.4.6"},
}
LOADED = """
import json, sys
from pocketbert.deploy.engine import Engine
answer = Engine.open(sys.argv[1])(["superb"])[0]
heavy = {"torch", "transformers", "onnx", "huggingface_hub", "rich", "yaml"} & set(sys.modules)
print(json.dumps({"score": answer.score, "loaded": sorted(heavy)}))
"""
MAX_BYTES = 250e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
@pytest.mark.parametrize("version", JETPACK)
def test_the_base_install_opens_a_bundle(wheel, bert, tmp_path, version, record_property):
    python = find_python(version)
    if python is None:
        pytest.skip(f"not found: Python {version}")
    device = make_environment(python, tmp_path / "device", wheel)
    packages = device.packages()
    assert packages.keys() == EVERYWHERE | FURTHER[version]
    assert VERSIONS[version].items() <= packages.items()
    assert device.package_bytes() < MAX_BYTES
    record_property("package_bytes", device.package_bytes())

    done = device.run("-I", "-c", LOADED, bert.bundle)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loaded"] == []
    predicted = device.pocketbert("predict", bert.bundle, "superb")
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)["score"] == pytest.approx(found["score"])
    tested = device.pocketbert("selftest", bert.bundle, "--json")
    assert tested.returncode == 0, tested.stderr
    assert json.loads(tested.stdout)["passed"]
    doctor = device.pocketbert("doctor", "--json")
    assert doctor.returncode == 0, doctor.stderr
    abilities = {one["name"]: one for one in json.loads(doctor.stdout)["abilities"]}
    assert abilities["run a bundle"]["missing"] == []
    assert "torch" in abilities["run a recipe"]["missing"]
    refused = device.pocketbert("sign", bert.bundle, "--key", "key.pem")
    assert refused.returncode == 2
    assert "pip install 'pocketbert[sign]'" in refused.stderr

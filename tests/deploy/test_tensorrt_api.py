"""What our code asks of TensorRT, compared with the bindings and trtexec of every version.

tensorrt_api.json lists the names in the published Python bindings, trtexec.json the flags in the
open sources of trtexec: what all versions have, and what only some have.
"""

import ast
import json
import re
from pathlib import Path

import pytest

from pocketbert.deploy.tensorrt_kit import write_kit
from pocketbert.deploy.tensorrt_profiles import profiles_for

DEPLOY = Path(__file__).parents[2] / "deploy"
API = json.loads(Path(__file__).with_name("tensorrt_api.json").read_text())
FLAGS = json.loads(Path(__file__).with_name("trtexec.json").read_text())
CODE = [*DEPLOY.glob("tensorrt_*.py"), DEPLOY / "runners/tensorrt.py"]

# Class of the objects that are called so in our code.
CLASSES = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "cache": "ITimingCache",
    "optimization_profile": "IOptimizationProfile",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "_engine": "ICudaEngine",
    "context": "IExecutionContext",
}


def names_of(version):
    everywhere, more = API["everywhere"], API[version]
    return {
        name: set(f"{members} {more.get(name, '')}".split()) for name, members in everywhere.items()
    }


def used(code):
    """Every class and member that the code uses: (class, member)."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Attribute) or "rtx-only" in lines[node.lineno - 1]:
            continue
        chain = ast.unparse(node).split(".")
        owner = chain[-2] if len(chain) > 1 else ""
        if chain[0] == "trt" and len(chain) == 3:
            yield chain[1], chain[2]
        elif chain[0] == "trt" and len(chain) == 2 and chain[1] != "__version__":
            yield chain[1], None
        elif owner in CLASSES and len(chain) == (3 if chain[0] == "self" else 2):
            yield CLASSES[owner], chain[-1]


def missing(code, version):
    names = names_of(version)
    return {
        (owner, member)
        for owner, member in used(code)
        if owner not in names or (member is not None and member not in names[owner])
    }


VERSIONS = [version for version in API if version != "everywhere"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_is_in_every_version(version):
    for path in CODE:
        assert missing(path.read_text(), version) == set(), path.name


def test_the_walk_sees_what_the_code_uses():
    seen = {pair for path in CODE for pair in used(path.read_text())}
    for pair in [
        ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
        ("Builder", "build_serialized_network"),
        ("OnnxParser", "parse"),
        ("IExecutionContext", "execute_async_v3"),
        ("Runtime", "deserialize_cuda_engine"),
        ("ICudaEngine", "num_io_tensors"),
    ]:
        assert pair in seen


def test_what_only_some_versions_have_is_caught():
    for code, gone in [
        ("config.set_flag(trt.BuilderFlag.INT8)", ("BuilderFlag", "INT8")),
        ("network.add_attention(q, k, v)", ("INetworkDefinition", "add_attention")),
        ("self._engine.device_memory_size", ("ICudaEngine", "device_memory_size")),
    ]:
        assert any(missing(code, version) == {gone} for version in VERSIONS), code
        assert any(missing(code, version) == set() for version in VERSIONS), code


@pytest.mark.parametrize("version", [version for version in FLAGS if version != "everywhere"])
def test_every_flag_is_in_every_trtexec(version, tmp_path):
    known = set(f"{FLAGS['everywhere']} {FLAGS[version]}".split())
    write_kit(tmp_path, "tensorrt", ["input_ids"], profiles_for([0, 1, 5, 1, 1], 8), 19)
    flags = re.findall(r"^    (--\w+)", (tmp_path / "build.sh").read_text(), re.MULTILINE)
    assert len(flags) > 10
    assert set(flags) <= known

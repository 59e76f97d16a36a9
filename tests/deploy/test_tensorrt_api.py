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

# What the calls give back that our code goes on with; None is nothing of TensorRT's.
RETURNS = {
    ("Builder", "create_network"): "INetworkDefinition",
    ("Builder", "create_builder_config"): "IBuilderConfig",
    ("Builder", "create_optimization_profile"): "IOptimizationProfile",
    ("Builder", "build_serialized_network"): "IHostMemory",
    ("IBuilderConfig", "create_timing_cache"): "ITimingCache",
    ("IBuilderConfig", "get_timing_cache"): "ITimingCache",
    ("ITimingCache", "serialize"): "IHostMemory",
    ("INetworkDefinition", "get_input"): "ITensor",
    ("OnnxParser", "get_error"): "ParserError",
    ("Runtime", "deserialize_cuda_engine"): "ICudaEngine",
    ("ICudaEngine", "create_execution_context"): "IExecutionContext",
    ("ICudaEngine", "get_tensor_name"): None,
    ("ICudaEngine", "get_tensor_mode"): None,
    ("ICudaEngine", "get_tensor_shape"): None,
    ("ParserError", "node_operator"): None,
    ("ParserError", "node_name"): None,
    ("ParserError", "desc"): None,
    ("IExecutionContext", "get_tensor_shape"): None,
}
# Functions of ours that give back objects of TensorRT's, and what they take and keep.
OURS = {
    "parse": "INetworkDefinition",
    "_context": "IExecutionContext",
    "trt": "trt",
    "builder": "Builder",
    "config": "IBuilderConfig",
    "_engine": "ICudaEngine",
    "_contexts": "IExecutionContext",
}


def names_of(version):
    everywhere, more = API["everywhere"], API[version]
    return {
        name: set(f"{members} {more.get(name, '')}".split()) for name, members in everywhere.items()
    }


def class_of(node, known):
    """The class of TensorRT's that an expression is of; None if it is of none."""
    match node:
        case ast.Name(id=name):
            return known.get(name) or OURS.get(name)
        case ast.Subscript(value=value):
            return class_of(value, known)
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return OURS.get(attr)
        case ast.Attribute(value=value, attr=attr):
            return attr if class_of(value, known) == "trt" else None
        case ast.Call(func=ast.Name(id=name)):
            return OURS.get(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr)):
            return OURS.get(attr)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            owner = class_of(value, known)
            return attr if owner == "trt" else RETURNS.get((owner, attr))
    return None


def used(code):
    """Every class and member that the code uses: (class, member)."""
    lines = code.splitlines()
    tree = ast.parse(code)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions or [tree]:
        known = {}
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    known[name] = class_of(value, known)
        for node in ast.walk(function):
            if not isinstance(node, ast.Attribute) or "rtx-only" in lines[node.lineno - 1]:
                continue
            owner = class_of(node.value, known)
            if owner == "trt" and node.attr != "__version__":
                yield node.attr, None
            elif owner and owner != "trt":
                yield owner, node.attr


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
        ("ITimingCache", "serialize"),
        ("IOptimizationProfile", "set_shape"),
        ("ParserError", "desc"),
        ("ITensor", "name"),
        ("ICudaEngine", "num_io_tensors"),
    ]:
        assert pair in seen


def test_what_calls_give_back_is_known():
    """So that no object goes unchecked because the walk does not know what it is."""
    for path in CODE:
        for owner, member in used(path.read_text()):
            if (owner, member) not in RETURNS and member is not None:
                assert not member.startswith(("create_", "deserialize_")), (owner, member)
                assert not (member.startswith("get_") and owner != "ILogger"), (owner, member)
    for (owner, member), given in RETURNS.items():
        names = names_of("10.3.0")
        assert member in names[owner]
        assert given is None or given in names


def test_what_only_some_versions_have_is_caught():
    for code, gone in [
        ("config.set_flag(trt.BuilderFlag.INT8)", ("BuilderFlag", "INT8")),
        (
            "builder.create_network(1).add_attention(q, k, v)",
            ("INetworkDefinition", "add_attention"),
        ),
        (
            "x = trt.Runtime(log)\ne = x.deserialize_cuda_engine(p)\ne.device_memory_size",
            ("ICudaEngine", "device_memory_size"),
        ),
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

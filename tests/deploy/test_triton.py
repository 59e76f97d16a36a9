"""A model repository: what Triton's schema says of it, and what its parts compute.

No Triton server is at hand: its module is stood in for, its scheduling is not tried.
"""

import ast
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import tokenizers
import tritonclient
from google.protobuf import json_format, text_format

from pocketbert.compress.config import Truncation
from pocketbert.compress.errors import BundleError, UserError
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.deploy.triton.repository import export_triton

MODELS = ("tiny", "tiny_tokenizer", "tiny_engine", "tiny_answer")
TEXTS = ["superb", "", "the film is a very dull story of the actors", "x" * 500, "电影 film"]


@pytest.fixture(scope="module")
def schema():
    """`model_config.proto`, alone: its package would import gRPC."""
    path = Path(tritonclient.__path__[0]) / "grpc/model_config_pb2.py"
    return _module("model_config_pb2", path)


@pytest.fixture(scope="module")
def repository(bert, tmp_path_factory):
    out = tmp_path_factory.mktemp("triton") / "models"
    assert export_triton(bert.bundle, out).name == "onnxruntime"
    return out


@pytest.fixture(scope="module")
def configs(repository, schema):
    """Every config.pbtxt, as Triton parses it; what the schema does not know is an error."""
    return {
        name: text_format.Parse(
            (repository / name / "config.pbtxt").read_text(), schema.ModelConfig()
        )
        for name in MODELS
    }


def test_folders_are_laid_out_as_triton_wants(repository):
    assert sorted(path.name for path in repository.iterdir()) == sorted(MODELS)
    files = {path.relative_to(repository).as_posix() for path in repository.rglob("*.*")}
    assert files - {f"{name}/config.pbtxt" for name in MODELS} == {
        "tiny_tokenizer/1/model.py",
        "tiny_tokenizer/1/tokenizer.json",
        "tiny_engine/1/model.onnx",
        "tiny_answer/1/model.py",
    }
    assert (repository / "tiny/1").is_dir()  # a version, though an ensemble has no file


def test_configs_name_their_folder_and_a_backend(configs):
    for name, config in configs.items():
        assert config.name == name
        assert config.max_batch_size == 64
    assert configs["tiny"].platform == "ensemble"
    assert configs["tiny_engine"].backend == "onnxruntime"
    assert configs["tiny_engine"].parameters["intra_op_thread_count"].string_value == "1"


def test_the_ensemble_joins_what_fits(configs):
    """Each step reads what exists, in the type and shape in which it was declared."""
    tensors = {each.name: _declared(each) for each in configs["tiny"].input}
    for step in configs["tiny"].ensemble_scheduling.step:
        model = configs[step.model_name]
        assert set(step.input_map) == {each.name for each in model.input}
        assert set(step.output_map) == {each.name for each in model.output}
        for each in model.input:
            assert tensors[step.input_map[each.name]] == _declared(each)
        tensors |= {step.output_map[each.name]: _declared(each) for each in model.output}
    for each in configs["tiny"].output:
        assert tensors[each.name] == _declared(each)


def test_the_engine_is_declared_as_it_is(repository, configs, schema):
    session = onnxruntime.InferenceSession(str(repository / "tiny_engine/1/model.onnx"))
    types = {"tensor(int64)": schema.TYPE_INT64, "tensor(float)": schema.TYPE_FP32}
    for declared, found in [
        (configs["tiny_engine"].input, session.get_inputs()),
        (configs["tiny_engine"].output, session.get_outputs()),
    ]:
        assert {each.name: each.data_type for each in declared} == {
            each.name: types[each.type] for each in found
        }
        for each, real in zip(declared, found, strict=True):
            assert len(each.dims) == len(real.shape) - 1
            assert isinstance(real.shape[0], str)  # any batch


def test_text_goes_in_and_labels_come_out(repository, configs, bert, triton):
    """Two requests at once, through the three models that the ensemble names, in its order."""
    requests = [TEXTS[:2], TEXTS[2:]]
    tensors = [
        {"text": np.array([[text.encode()] for text in texts], dtype=np.object_)}
        for texts in requests
    ]
    for step in configs["tiny"].ensemble_scheduling.step:
        run = _opened(repository, step.model_name, configs[step.model_name])
        for known, answer in zip(tensors, run(tensors), strict=True):
            known |= answer
    assert tensors[0]["input_ids"].shape[1] == tensors[1]["input_ids"].shape[1]
    answers = Engine.open(bert.bundle)(TEXTS)
    found = {name: np.concatenate([each[name] for each in tensors]) for name in tensors[0]}
    assert [label.decode() for label in found["label"][:, 0]] == [each.label for each in answers]
    expected = [list(each.probabilities.values()) for each in answers]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    np.testing.assert_allclose(found["score"][:, 0], [each.score for each in answers], atol=1e-5)
    for each in configs["tiny"].output:  # shapes as declared
        assert found[each.name].shape == (len(TEXTS), *each.dims)


def test_invalid_utf8_is_a_text(repository, configs, triton):
    run = _opened(repository, "tiny_tokenizer", configs["tiny_tokenizer"])
    answer = run([{"text": np.array([[b"\xff film"]], dtype=np.object_)}])[0]
    assert answer["input_ids"].shape[0] == 1


@pytest.mark.parametrize("name", ["tiny_tokenizer", "tiny_answer"])
def test_python_models_need_nothing_of_pocketbert(repository, name):
    tree = ast.parse((repository / name / "1/model.py").read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {
        "json", "pathlib", "typing", "numpy", "tokenizers", "triton_python_backend_utils"
    }  # fmt: skip


def test_what_is_there_is_not_overwritten(bert, repository):
    with pytest.raises(UserError, match="exists, expected a new folder"):
        export_triton(bert.bundle, repository)
    assert [path.name for path in repository.parent.iterdir()] == ["models"]


def test_a_target_that_onnxruntime_does_not_run_is_refused(bert, tmp_path):
    with pytest.raises(BundleError, match=r"expected openvino of ONNX Runtime; compile with"):
        export_triton(bert.bundle, tmp_path / "models", "openvino")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_of_a_long_text_the_same_part_is_read(bert, tmp_path, keep):
    bundle = _keeping(keep, bert.bundle, tmp_path)
    export_triton(bundle, tmp_path / "models")
    ours = Tokenizer(bundle / "tokenizer.json", 32, Truncation(keep=keep))
    file = tmp_path / "models/tiny_tokenizer/1/tokenizer.json"
    theirs = tokenizers.Tokenizer.from_file(str(file))
    text = "dull " * 40 + "superb " * 40
    assert theirs.encode(text).ids == ours.encode([text])["input_ids"][0].tolist()


def test_what_the_tokenizers_library_cannot_cut_is_refused(bert, tmp_path):
    bundle = _keeping("windows", bert.bundle, tmp_path)
    with pytest.raises(BundleError, match="reads windows of a long text, expected one of: head"):
        export_triton(bundle, tmp_path / "models")


def _keeping(keep, bundle, folder):
    """A copy of a bundle that reads another part of long texts."""
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["truncation"] = {"keep": keep}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


def test_the_labels_are_those_of_the_bundle(bert, repository, configs):
    labels = json.loads(configs["tiny_answer"].parameters["labels"].string_value)
    assert tuple(labels) == read_bundle(bert.bundle).manifest.labels


@pytest.fixture
def triton(monkeypatch):
    """The few names of Triton's module that the models use."""
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = lambda name, array: SimpleNamespace(name=name, as_numpy=lambda: array)
    module.InferenceResponse = lambda tensors: {each.name: each.as_numpy() for each in tensors}
    module.get_input_tensor_by_name = lambda request, name: module.Tensor(name, request[name])
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", module)


def _opened(repository, name, config):
    """A function of requests to answers, for a model of either backend."""
    folder = repository / name / "1"
    if config.backend == "onnxruntime":
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
        names = [each.name for each in session.get_inputs()]
        return lambda requests: [
            {"logits": session.run(["logits"], {name: each[name] for name in names})[0]}
            for each in requests
        ]
    model = _module(f"triton_{name}", folder / "model.py").TritonPythonModel()
    as_json = json_format.MessageToJson(config, preserving_proto_field_name=True)
    model.initialize(
        {"model_repository": str(folder.parent), "model_version": "1", "model_config": as_json}
    )
    return model.execute


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _declared(tensor):
    return tensor.data_type, tuple(tensor.dims)

import numpy as np
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy import runners
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.runners import open_target
from pocketbert.deploy.runners.eager import EagerRunner
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.mark.parametrize("runner", [OrtRunner, EagerRunner])
@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_every_runner_gives_float_logits_and_ignores_other_inputs(runner, name, request):
    stages = request.getfixturevalue(name)
    paths = {OrtRunner: stages.exported / "model.onnx", EagerRunner: stages.student / "model"}
    inputs = Tokenizer(stages.exported / "tokenizer.json", 32).encode(["superb", "a dull film"])
    logits = runner(paths[runner], threads=1).run(inputs)
    assert logits.shape == (2, 2)
    assert logits.dtype == np.float32


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="does not load"):
        OrtRunner(tmp_path / "model.onnx")


def test_a_runtime_that_is_not_installed_is_said(bert, monkeypatch):
    row = runners.Row("nowhere:open_target", "no_such_package", "pip install it")
    monkeypatch.setitem(runners.RUNNERS, "onnxruntime", row)
    target = read_bundle(bert.bundle).manifest.targets[0]
    with pytest.raises(BundleError, match=r"no_such_package is not installed \(pip install it\)"):
        open_target(bert.bundle, target, threads=1)

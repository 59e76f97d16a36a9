import numpy as np
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.runners import RUNNERS, open_runner
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.mark.parametrize("runtime", RUNNERS)
@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_every_runner_gives_float_logits_and_ignores_other_inputs(runtime, name, request):
    stages = request.getfixturevalue(name)
    paths = {"onnxruntime": stages.exported / "model.onnx", "eager": stages.student / "model"}
    runner = open_runner(runtime, paths[runtime], threads=1)
    inputs = Tokenizer(stages.exported / "tokenizer.json", 32).encode(["superb", "a dull film"])
    logits = runner.run(inputs)
    assert logits.shape == (2, 2)
    assert logits.dtype == np.float32


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="does not load"):
        open_runner("onnxruntime", tmp_path / "model.onnx")

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_model
from pocketbert.deploy import export
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.mark.parametrize("name", ["bert", "mpnet", "bilstm"])
def test_graph_agrees_with_pytorch(name, request):
    stages = request.getfixturevalue(name)
    assert stages.export["parity_max_abs"] <= 1e-4
    # Once more by hand, so that a stage that compares nothing is found out.
    inputs = Tokenizer(stages.exported / "tokenizer.json", 32).encode(["a dull plot", "superb"])
    model = load_model(stages.student / "model")
    names = [node.name for node in onnx.load(stages.exported / "model.onnx").graph.input]
    with torch.no_grad():
        expected = model(**{n: torch.from_numpy(inputs[n]) for n in names}).logits.numpy()
    found = OrtRunner(stages.exported / "model.onnx").run(inputs)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["bert", "mpnet", "bilstm"])
def test_padding_does_not_change_a_logit(name, request):
    stages = request.getfixturevalue(name)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    runner = OrtRunner(stages.exported / "model.onnx")
    texts = ["dull", "the film is a very tender story of the actors and this is lovely"]
    alone = np.concatenate([runner.run(tokenizer.encode([text])) for text in texts])
    np.testing.assert_allclose(runner.run(tokenizer.encode(texts)), alone, atol=1e-5)


def test_inputs_are_those_that_the_model_has(bert, mpnet):
    def inputs(stages):
        return [node.name for node in onnx.load(stages.exported / "model.onnx").graph.input]

    assert inputs(bert) == ["input_ids", "attention_mask", "token_type_ids"]
    assert inputs(mpnet) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_no_huge_constant_is_left(name, request):
    graph = onnx.load(request.getfixturevalue(name).exported / "model.onnx").graph
    tensors = [*graph.initializer]
    tensors += [a.t for node in graph.node for a in node.attribute if a.name == "value"]
    floats = [numpy_helper.to_array(t) for t in tensors if t.data_type == onnx.TensorProto.FLOAT]
    assert min(values.min() for values in floats if values.size) == -1e4


def test_every_edit_matches_what_transformers_traces(bert, mpnet):
    for stages in (bert, mpnet):
        edits = stages.export["edits"]
        assert edits["repair_mask"] == edits["broadcast_mask"] == 1
        assert edits["fold_reshapes"] == 8  # query, key, value and context, in two layers
        assert edits["split_gemms"] == 2


def test_a_graph_that_differs_is_refused(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PARITY_LIMIT", 1e-12)
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export.export_onnx(out=tmp_path, data=bert.data, model=bert.student)

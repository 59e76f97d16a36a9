"""The BiLSTM through the deploy stages: what its INT8 graph holds, and that it says the same."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.int8_edits import fuse_lstms, narrow_weights, quantize_lstms
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.tokenizer import Tokenizer

TEXTS = ["the film is superb", "", "a clumsy story and very dull actors", "lovely " * 40]


def logits(path, stages, optimize=False):
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    return OrtRunner(path, optimize=optimize).run(tokenizer.encode(TEXTS))


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def test_the_graph_has_one_lstm_and_does_not_sort(bilstm):
    exported = operators(bilstm.exported / "model.onnx")
    assert exported.count("LSTM") == 1
    assert not {"TopK", "ScatterElements", "If", "Loop"} & set(exported)


def test_all_large_weights_are_int8(bilstm):
    assert bilstm.quantize["quantized_lstms"] == 1
    assert bilstm.quantize["embedding_tables"] == 1
    assert bilstm.quantize["quantized_matmuls"] == 2  # attention and dense, not score, classifier
    graph = onnx.load(bilstm.quantized / "model.onnx").graph
    large = [t for t in graph.initializer if np.prod(t.dims) >= 1000]
    assert {t.data_type for t in large} == {TensorProto.INT8}
    assert len(large) == 5  # table, input, recurrent, attention, dense


def test_int8_says_what_float_says(bilstm):
    expected = logits(bilstm.exported / "model.onnx", bilstm)
    found = logits(bilstm.quantized / "model.onnx", bilstm)
    assert np.ptp(expected, axis=0).min() > 0.1
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_lstm_weights_keep_half_a_step(bilstm):
    floats = onnx.load(bilstm.exported / "model.onnx")
    model = onnx.load(bilstm.exported / "model.onnx")
    assert quantize_lstms(model) == 1
    for limit in (127, 64):
        stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        for tensor in floats.graph.initializer:
            if f"{tensor.name}_quantized" not in stored:
                continue
            weight = numpy_helper.to_array(tensor)
            quantized = stored[f"{tensor.name}_quantized"]
            scale = stored[f"{tensor.name}_scale"][None, :, None]
            assert quantized.shape[0] == 2  # directions
            assert np.abs(quantized).max() == limit
            assert (np.abs(quantized * scale - weight) <= scale / 2 * 1.001).all()
        narrow_weights(model, floats)


@pytest.mark.parametrize("isa", ["x86_64", "arm64"])
def test_the_fused_lstm_computes_the_same(bilstm, tmp_path, isa):
    model = onnx.load(bilstm.quantized / "model.onnx")
    lower(model, onnx.load(bilstm.exported / "model.onnx"), isa)
    onnx.save(model, tmp_path / "qdq.onnx")
    assert fuse_lstms(model) == 1
    onnx.save(model, tmp_path / "fused.onnx")
    assert "LSTM" not in operators(tmp_path / "fused.onnx")
    if isa == "x86_64":  # 8-bit weights saturate on a processor without VNNI
        before = logits(tmp_path / "qdq.onnx", bilstm)
        after = logits(tmp_path / "fused.onnx", bilstm)
        np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())


def test_the_engine_runs_it_in_int8_and_padding_changes_nothing_of_note(bilstm):
    assert bilstm.compile["edits"]["fuse_lstms"] == 1
    assert bilstm.compile["int8_matmuls"] == 3
    assert selftest(bilstm.bundle).passed
    engine = Engine.open(bilstm.bundle)
    alone, together = engine.logits(TEXTS), engine.logits(TEXTS, batch_size=4)
    # Activations of a batch share one dynamic range, so a little may change.
    np.testing.assert_allclose(together, alone, atol=0.05 * np.abs(alone).max())


def test_a_float_bundle_is_exact(bilstm, tmp_path):
    from pocketbert.deploy.compile import compile_bundle

    compile_bundle(
        out=tmp_path, config=CompileConfig(), data=bilstm.data, exported=bilstm.exported,
        quantized=None, lineage={}, name="float",
    )  # fmt: skip
    engine = Engine.open(tmp_path / "bundle")
    expected = logits(bilstm.exported / "model.onnx", bilstm)
    np.testing.assert_allclose(engine.logits(TEXTS), expected, atol=1e-5)

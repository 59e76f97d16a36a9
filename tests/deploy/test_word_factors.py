"""A factorised word table through the deploy stages: short rows, one product, same answers."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from pocketbert.compress.folder import load_model
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.tokenizer import Tokenizer

TEXTS = ["the film is superb", "a very dull story", "this plot is tender and sharp", ""]
RANK, WIDTH, TOKENS = 24, 64, 300


def logits(path, stages):
    return OrtRunner(path).run(Tokenizer(stages.exported / "tokenizer.json", 32).encode(TEXTS))


def shapes(path):
    return {tuple(t.dims): t.data_type for t in onnx.load(path).graph.initializer}


def test_the_graph_gathers_short_rows_and_multiplies_once(factorised):
    found = shapes(factorised.exported / "model.onnx")
    assert found[(TOKENS, RANK)] == found[(RANK, WIDTH)] == TensorProto.FLOAT
    assert (TOKENS, WIDTH) not in found
    assert factorised.export["parity_max_abs"] < 1e-4
    assert load_model(factorised.student / "model").get_input_embeddings().basis.in_features == RANK


def test_both_factors_are_int8(factorised, bert):
    found = shapes(factorised.quantized / "model.onnx")
    assert found[(TOKENS, RANK)] == found[(RANK, WIDTH)] == TensorProto.INT8
    assert factorised.quantize["embedding_tables"] == 1
    for count in ("quantized_matmuls", "float_weight_matmuls"):
        one_more = int(count == "quantized_matmuls")
        assert factorised.quantize[count] == bert.quantize[count] + one_more
    assert factorised.compile["int8_matmuls"] == bert.compile["int8_matmuls"] + 1
    assert factorised.quantize["bytes"] < bert.quantize["bytes"]


def test_rows_keep_half_a_step_of_their_own_scale(factorised):
    table = load_model(factorised.student / "model").get_input_embeddings().rows.weight
    graph = onnx.load(factorised.quantized / "model.onnx").graph
    stored = {tuple(t.dims): numpy_helper.to_array(t) for t in graph.initializer}
    rows, scale = stored[(TOKENS, RANK)].astype(np.float32), stored[(TOKENS, 1)]
    assert (np.abs(rows * scale - table.detach().numpy()) <= scale * 0.501).all()


def test_int8_says_what_float_says_on_every_processor(factorised):
    expected = logits(factorised.exported / "model.onnx", factorised)
    assert np.ptp(expected, axis=0).min() > 0.1
    for isa in ("arm64", "x86_64_vnni", "x86_64"):
        model = onnx.load(factorised.quantized / "model.onnx")
        lower(model, onnx.load(factorised.exported / "model.onnx"), isa)
        path = factorised.root / f"{isa}.onnx"
        onnx.save(model, path)
        found = logits(path, factorised)
        assert 0 < np.abs(found - expected).max() < 0.25 * np.abs(expected).max(), isa


def test_the_bundle_answers_as_its_golden_logits_say(factorised):
    assert selftest(factorised.bundle).passed
    expected = logits(factorised.exported / "model.onnx", factorised)
    found = Engine.open(factorised.bundle).logits(TEXTS)
    assert 0 < np.abs(found - expected).max() < 0.25 * np.abs(expected).max()

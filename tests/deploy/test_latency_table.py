import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    load_description,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.latency_table import load_latency_table
from pocketbert.compress.surgery import keep_hidden
from pocketbert.deploy import latency_table, sublayer_timing
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.latency_table import measure_again, measure_latency_table
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.sublayer_graphs import attention_graph, feed_forward_graph

STATES = np.random.default_rng(1).standard_normal((1, 7, 32), np.float32)
MASK = np.zeros((1, 1, 1, 7), np.float32)
MASK[..., -2:] = -1e4


def run(model, tmp_path):
    onnx.save_model(model, tmp_path / "model.onnx")
    return OrtRunner(tmp_path / "model.onnx").run({"states": STATES, "mask": MASK})


def weights_of(model):
    return [torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in model.graph.initializer]


@pytest.fixture
def layer():
    config = BertConfig(hidden_size=32, num_attention_heads=4, intermediate_size=48)
    config._attn_implementation = "eager"
    return BertLayer(config, layer_idx=0).eval()


def load(linears, weights):
    """Give the graph's matrices, in their order, to torch's layers."""
    matrices = [w for w in weights if w.dim() == 2]
    for linear, matrix in zip(linears, matrices, strict=True):
        linear.weight.data = matrix.T.contiguous()
        linear.bias.data.zero_()


def test_the_attention_graph_computes_what_transformers_does(layer, tmp_path):
    model = attention_graph(32, 4, 8, copies=1, isa=None)
    attention = layer.attention
    load(
        [*(getattr(attention.self, n) for n in ("query", "key", "value")), attention.output.dense],
        weights_of(model),
    )
    with torch.no_grad():
        expected = attention(torch.from_numpy(STATES), torch.from_numpy(MASK))[0]
    np.testing.assert_allclose(run(model, tmp_path), expected, atol=1e-4)
    first = attention_graph(32, 4, 8, copies=1, isa=None, first_only=True)  # the same weights
    np.testing.assert_allclose(run(first, tmp_path), expected[:, :1], atol=1e-4)


def test_the_feed_forward_graph_computes_what_transformers_does(layer, tmp_path):
    model = feed_forward_graph(32, 48, copies=1, isa=None)
    load([layer.intermediate.dense, layer.output.dense], weights_of(model))
    with torch.no_grad():
        expected = layer.feed_forward_chunk(torch.from_numpy(STATES))
    np.testing.assert_allclose(run(model, tmp_path), expected, atol=1e-4)


@pytest.mark.parametrize("isa", ["x86_64", "x86_64_vnni", "arm64"])
def test_int8_graphs_run_all_products_in_int8_and_stay_near_float(isa, tmp_path):
    for graph, width, products in ((attention_graph, (4, 8), 4), (feed_forward_graph, (48,), 2)):
        model = graph(32, *width, copies=2, isa=isa)
        operators = [node.op_type for node in model.graph.node]
        assert operators.count("MatMulIntegerToFloat") == 2 * products
        if isa in available_isas() or isa == "x86_64":
            exact = run(graph(32, *width, copies=2, isa=None), tmp_path)
            assert np.abs(run(model, tmp_path) - exact).mean() < 0.2


def test_without_units_nothing_but_bias_sum_and_norm_is_left():
    for model in (attention_graph(32, 0, 8, 1, None), feed_forward_graph(32, 0, 1, None)):
        assert [node.op_type for node in model.graph.node] == ["Add", "LayerNormalization"]


@pytest.mark.parametrize("int8", [False, True])
def test_the_stage_measures_every_width(bert, tmp_path, monkeypatch, int8):
    monkeypatch.setattr(sublayer_timing, "ROUNDS", 3)
    positions = []
    take_turns = sublayer_timing._interleaved_medians

    def noting_positions(timed, clock, bar):
        positions.extend(inputs["states"].shape[1] for _, inputs in timed)
        return take_turns(timed, clock, bar)

    monkeypatch.setattr(sublayer_timing, "_interleaved_medians", noting_positions)
    summary = measure_latency_table(
        out=tmp_path,
        data=bert.data,
        student=bert.student,
        config=CompileConfig(),
        int8=int8,
        neuron_multiple=32,
    )
    table = load_latency_table(tmp_path / "latency_table.json", hidden_size=64, head_size=16)
    assert json.loads(json.dumps(summary)) == json.loads(
        (tmp_path / "latency_table.json").read_text()
    )
    assert table.attention.widths == (0, 1, 2, 3, 4)
    assert table.feed_forward.widths == (0, 32, 64, 96, 128)
    assert table.precision == ("int8" if int8 else "float32")
    assert table.last_attention.widths == table.attention.widths
    curves = (table.attention, table.last_attention, table.feed_forward, table.last_feed_forward)
    assert all(ms > 0 for curve in curves for ms in curve.ms)
    assert 2 < table.tokens < 32
    # The last layer's feed-forward block is timed on one position out of a whole text.
    assert positions == [table.tokens] * (len(positions) - 5) + [1] * 5


def test_of_a_pruned_stream_the_real_width_is_timed(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(sublayer_timing, "ROUNDS", 1)
    model = load_model(bert.student / "model")
    keep_hidden(model, torch.arange(48))
    description = replace(load_description(bert.student / "model"), hidden_size=48)
    shutil.copytree(bert.student, tmp_path / "narrow")
    tokenizer = load_tokenizer(bert.student / "model")
    save_model(model, tokenizer, description, tmp_path / "narrow/model")
    measure_latency_table(
        out=tmp_path, data=bert.data, student=tmp_path / "narrow", config=CompileConfig(),
        int8=False, neuron_multiple=64,
    )  # fmt: skip
    table = load_latency_table(tmp_path / "latency_table.json", hidden_size=48, head_size=16)
    assert table.attention.widths == (0, 1, 2, 3, 4)


def test_many_widths_are_spread_evenly_and_keep_both_ends():
    assert latency_table._spread(3072, 64)[:3] == (0, 256, 512)
    assert latency_table._spread(100, 32) == (0, 32, 64, 96, 100)


def test_a_table_is_measured_again_where_the_engine_will_run(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(sublayer_timing, "ROUNDS", 3)
    measure_latency_table(
        out=tmp_path,
        data=bert.data,
        student=bert.student,
        config=CompileConfig(),
        int8=True,
        neuron_multiple=48,
    )
    before = load_latency_table(tmp_path / "latency_table.json", hidden_size=64, head_size=16)
    measure_again(tmp_path / "latency_table.json", tmp_path / "board.json", threads=2)
    after = load_latency_table(tmp_path / "board.json", hidden_size=64, head_size=16)
    assert after.feed_forward.widths == before.feed_forward.widths == (0, 48, 96, 128)
    assert after.attention.widths == before.attention.widths
    assert (after.precision, after.tokens) == ("int8", before.tokens)
    assert (before.threads, after.threads) == (1, 2)
    assert after.attention.ms != before.attention.ms


def test_no_table_is_measured_from_another_file(tmp_path):
    (tmp_path / "other.json").write_text('{"hidden_size": 64}')
    with pytest.raises(ModelError, match="is no latency table"):
        measure_again(tmp_path / "other.json", tmp_path / "board.json", threads=None)
    assert not (tmp_path / "board.json").exists()

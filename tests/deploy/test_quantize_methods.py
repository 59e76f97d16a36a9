"""What each method of INT8 computes, against numpy, and that the engine's layout takes it."""

import subprocess
import sys
import textwrap
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.deploy.calibrate import observe
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.graph import weight_matmuls
from pocketbert.deploy.int8_edits import fuse_integer_matmuls
from pocketbert.deploy.placement import quantizable_matmuls
from pocketbert.deploy.quantize import METHODS, quantized_model
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.smoothquant import smooth, smooth_layer_norms, smoothable
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.fixture(params=["bert", "mpnet"])
def stages(request):
    return request.getfixturevalue(request.param)


def inputs_of(stages, count=16):
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    return tokenizer.encode(load_split(stages.data, "test").texts[:count])


def logits(model, stages, path, optimize=False):
    onnx.save(model, path)
    return OrtRunner(path, optimize=optimize).run(inputs_of(stages))


def with_output(model, name):
    """A copy whose first output is an inner tensor."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.insert(0, onnx.ValueInfoProto(name=name))
    return copy


@pytest.fixture
def outlying(bert):
    """The exported model, equal in float, with two channels 100 times as large as they were."""
    model = onnx.load(bert.exported / "model.onnx")
    channels = np.ones(64, dtype=np.float32)
    channels[[3, 17]] = 0.01
    smooth_layer_norms(model, {n.output[0]: channels for n in smoothable(model)}, alpha=1.0)
    return model


def exported_as(model, bert, folder):
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    (folder / "tokenizer.json").write_bytes((bert.exported / "tokenizer.json").read_bytes())
    return folder


def test_smoothing_changes_no_logit(stages, tmp_path):
    found = smooth(out=tmp_path, alpha=0.5, examples=32, data=stages.data, exported=stages.exported)
    # Two in each layer and the embeddings'; nothing but the pooler reads the last, in one position.
    assert found["layer_norms"] == 4
    assert found["parity_max_abs"] < 1e-4
    old = OrtRunner(stages.exported / "model.onnx").run(inputs_of(stages))
    new = OrtRunner(tmp_path / "model.onnx").run(inputs_of(stages))
    assert np.abs(new - old).max() <= 1e-4
    assert (tmp_path / "tokenizer.json").is_file()


def test_channels_are_divided_by_the_factors_of_the_paper(outlying, bert, tmp_path):
    exported = exported_as(outlying, bert, tmp_path / "exported")
    norm = smoothable(outlying)[0]
    products = [n for n in quantizable_matmuls(outlying) if n.input[0] == norm.output[0]]
    assert len(products) == 3  # query, key and value
    stored = {t.name: numpy_helper.to_array(t) for t in outlying.graph.initializer}
    onnx.save(with_output(outlying, norm.output[0]), tmp_path / "watched.onnx")
    values = OrtRunner(tmp_path / "watched.onnx", optimize=False).run(inputs_of(bert))
    largest = np.abs(values).max(axis=(0, 1))
    rows = np.max([np.abs(stored[n.input[1]]).max(axis=1) for n in products], axis=0)
    wanted = largest**0.75 / rows**0.25

    seen = {n.output[0]: np.ones(64, dtype=np.float32) for n in smoothable(outlying)}
    smooth_layer_norms(outlying, seen | {norm.output[0]: largest}, alpha=0.75)
    onnx.save(with_output(outlying, norm.output[0]), tmp_path / "smoothed.onnx")
    smoothed = OrtRunner(tmp_path / "smoothed.onnx", optimize=False).run(inputs_of(bert))
    np.testing.assert_allclose(smoothed * wanted, values, rtol=1e-3, atol=1e-3)
    old = OrtRunner(exported / "model.onnx").run(inputs_of(bert))
    np.testing.assert_allclose(
        logits(outlying, bert, tmp_path / "all.onnx"), old, atol=1e-4 * np.abs(old).max()
    )


def test_smoothing_rescues_a_model_with_outliers(outlying, bert, tmp_path):
    exported = exported_as(outlying, bert, tmp_path / "exported")
    floats = OrtRunner(exported / "model.onnx").run(inputs_of(bert))
    (tmp_path / "smooth").mkdir()
    smooth(out=tmp_path / "smooth", alpha=0.5, examples=64, data=bert.data, exported=exported)
    assert (
        np.abs(floats - OrtRunner(bert.exported / "model.onnx").run(inputs_of(bert))).max() < 1e-4
    )
    errors = {}
    for method, folder in (("static", exported), ("smoothquant", tmp_path / "smooth")):
        table = observe(bert.data, folder, 64)
        model = onnx.load(folder / "model.onnx")
        int8 = quantized_model(model, table, QuantizeConfig(method=method))
        errors[method] = np.abs(logits(int8, bert, tmp_path / "int8.onnx") - floats).mean()
    assert errors["smoothquant"] < 0.2 * errors["static"]


@pytest.mark.parametrize("isa", ["x86_64", "x86_64_vnni"])
def test_dynamic_products_are_those_of_numpy(isa, bert, tmp_path):
    exported = onnx.load(bert.exported / "model.onnx")
    product = quantizable_matmuls(exported)[0]
    weight = next(t for t in exported.graph.initializer if t.name == product.input[1])
    weight = numpy_helper.to_array(weight)
    model = quantized_model(exported, None, QuantizeConfig(method="dynamic", embeddings=False))
    lower(model, exported, isa)

    onnx.save(with_output(exported, product.input[0]), tmp_path / "input.onnx")
    values = OrtRunner(tmp_path / "input.onnx", optimize=False).run(inputs_of(bert))
    low, high = min(values.min(), 0), max(values.max(), 0)
    step = (high - low) / np.float32(255)
    zero_point = np.rint(-low / step)
    integers = (np.rint(values / step) + zero_point).clip(0, 255).astype(np.int64)
    limit = 64 if isa == "x86_64" else 127
    weight_step = np.abs(weight).max(axis=0) / limit
    rounded = np.rint(weight / weight_step).astype(np.int64)
    wanted = (integers - int(zero_point)) @ rounded * (step * weight_step)

    onnx.save(with_output(model, product.output[0]), tmp_path / "output.onnx")
    found = OrtRunner(tmp_path / "output.onnx", optimize=False).run(inputs_of(bert))
    np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())


def test_dynamic_products_are_all_fused_and_share_their_input(stages, tmp_path):
    exported = onnx.load(stages.exported / "model.onnx")
    model = quantized_model(exported, None, QuantizeConfig(method="dynamic"))
    isa = available_isas()[0]
    lower(model, exported, isa)
    before = logits(model, stages, tmp_path / "qdq.onnx")
    assert fuse_integer_matmuls(model) == 13
    found = Counter(node.op_type for node in model.graph.node)
    assert found["MatMulIntegerToFloat"] == 13
    assert found["DynamicQuantizeLinear"] == 10  # query, key and value share one
    assert found["DequantizeLinear"] == 0
    after = logits(model, stages, tmp_path / "fused.onnx", optimize=True)
    np.testing.assert_allclose(after, before, atol=0.02 * np.abs(before).max())


@pytest.mark.parametrize("bits", [8, 4])
def test_weights_in_blocks_are_within_half_a_step(bits, bert, tmp_path):
    exported = onnx.load(bert.exported / "model.onnx")
    config = QuantizeConfig(method="weight_only", weight_bits=bits, embeddings=False)
    model = quantized_model(exported, None, config)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["MatMulNBits"] == 13
    assert len(weight_matmuls(model)) == 1  # the classifier
    product = quantizable_matmuls(exported)[0]
    weight = next(t for t in exported.graph.initializer if t.name == product.input[1])
    blocks = numpy_helper.to_array(weight).reshape(2, 32, -1)
    step = np.abs(blocks).max(axis=1, keepdims=True) / 2 ** (bits - 1)

    onnx.save(with_output(exported, product.input[0]), tmp_path / "input.onnx")
    values = OrtRunner(tmp_path / "input.onnx", optimize=False).run(inputs_of(bert))
    onnx.save(with_output(exported, product.output[0]), tmp_path / "float.onnx")
    wanted = OrtRunner(tmp_path / "float.onnx", optimize=False).run(inputs_of(bert))
    onnx.save(with_output(model, product.output[0]), tmp_path / "blocks.onnx")
    found = OrtRunner(tmp_path / "blocks.onnx", optimize=False).run(inputs_of(bert))
    # The kernel rounds activations too, to 8 bits a block. An 8-bit range may lose its outermost
    # value, which is a whole step.
    bound = np.abs(values.reshape(*values.shape[:2], 2, 32)).sum(-1) @ step[:, 0] * 1.01
    slack = np.abs(values).max() / 127 * np.abs(numpy_helper.to_array(weight)).sum(0)
    assert (np.abs(found - wanted) <= bound + slack).all()
    assert np.abs(found - wanted).max() > 0


def test_fewer_bits_are_smaller(bert):
    exported = onnx.load(bert.exported / "model.onnx")
    sizes = [
        len(
            quantized_model(
                exported, None, QuantizeConfig(method="weight_only", weight_bits=bits)
            ).SerializeToString()
        )
        for bits in (8, 4)
    ]
    assert sizes[1] < 0.8 * sizes[0] < 0.4 * len(exported.SerializeToString())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_into_a_bundle_that_answers_as_the_float_model(method, bert, tmp_path):
    exported = bert.exported
    folders = {name: tmp_path / name for name in ("smooth", "calibrated", "int8", "compiled")}
    for folder in folders.values():
        folder.mkdir()
    from pocketbert.deploy.calibrate import calibrate
    from pocketbert.deploy.quantize import quantize

    if method == "smoothquant":
        smooth(out=folders["smooth"], alpha=0.5, examples=32, data=bert.data, exported=exported)
        exported = folders["smooth"]
    config = QuantizeConfig(method=method)
    if config.calibrated:
        calibrate(out=folders["calibrated"], examples=32, data=bert.data, exported=exported)
    quantize(
        out=folders["int8"],
        config=config,
        calibrated=folders["calibrated"] if config.calibrated else None,
        exported=exported,
    )
    compile_bundle(
        out=folders["compiled"],
        config=CompileConfig(),
        data=bert.data,
        exported=exported,
        quantized=folders["int8"],
        lineage={},
        name="method",
    )
    texts = load_split(bert.data, "test").texts
    found = Engine.open(folders["compiled"] / "bundle").logits(texts)
    wanted = Engine.from_onnx(bert.exported, ("bad", "good"), 32).logits(texts)
    assert 0 < np.abs(found - wanted).max() < 0.3 * np.abs(wanted).max()
    assert np.mean(found.argmax(1) == wanted.argmax(1)) > 0.95


@pytest.mark.parametrize("method", ["dynamic", "weight_only"])
def test_a_method_without_fixed_ranges_has_no_symmetric_layout(method, bert):
    model = onnx.load(bert.exported / "model.onnx")
    with pytest.raises(ModelError, match=rf"quantize\.method is {method}, expected static or"):
        quantized_model(model, None, QuantizeConfig(method=method), symmetric=True)


@pytest.mark.parametrize(("method", "left"), [("static", 11), ("dynamic", 11), ("weight_only", 11)])
def test_named_operators_stay_in_float(method, left, bert):
    exported = onnx.load(bert.exported / "model.onnx")
    names = [node.name for node in quantizable_matmuls(exported)]
    table = observe(bert.data, bert.exported, 4) if method == "static" else None
    model = quantized_model(
        exported, table, QuantizeConfig(method=method), keep_float=frozenset(names[:2])
    )
    in_float = {node.name for node in weight_matmuls(model)}
    assert len(names) - len(in_float - {"classifier"} & set(names)) == left
    assert set(names[:2]) <= in_float


def test_blocks_of_weights_leave_the_log_as_it_was():
    script = """
        import logging
        from pathlib import Path
        from pocketbert.deploy.weight_only import _quantizer
        _quantizer()
        assert logging.getLogger().handlers == [], logging.getLogger().handlers
        assert logging.getLogger().level == logging.WARNING
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)

"""The TensorRT target: the bundle, the kit, and what machines with and without a GPU do."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.build import build
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.graph import add_constant, initializers, producers, weight_matmuls
from pocketbert.deploy.runners import why_not
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.runners.tensorrt import profile_of
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.targets.tensorrt import count_matmuls, lower
from pocketbert.deploy.tensorrt_gpu import why_no_gpu
from pocketbert.deploy.tensorrt_int8 import center_activations, release_single_queries
from pocketbert.deploy.tensorrt_kit import read_profiles
from pocketbert.deploy.tensorrt_profiles import MAX_BATCH, Profile, profiles_for
from pocketbert.deploy.tokenizer import Tokenizer

TEXTS = ["the film is superb", "", "a clumsy story and very dull actors", "lovely " * 40]


def compiled(stages, out, is_int8=True, **config):
    return compile_bundle(
        out=out,
        config=CompileConfig(**config),
        data=stages.data,
        exported=stages.exported,
        quantized=stages.quantized if is_int8 else None,
        lineage={},
        name="tiny",
    )


@pytest.fixture
def bundle(tensorrt_bundle):
    return tensorrt_bundle


def test_bundle_says_what_it_holds(bundle):
    targets = read_bundle(bundle).manifest.targets
    assert [one.name for one in targets] == ["onnxruntime", "tensorrt", "tensorrt-float"]
    target = targets[1]
    assert (target.name, target.runtime, target.isa) == ("tensorrt", "tensorrt", "any")
    assert (target.precision, target.float_precision) == ("int8", "float16")
    assert (target.int8_matmuls, target.float_weight_matmuls) == (13, 1)
    assert (targets[2].precision, targets[2].int8_matmuls) == ("float16", 0)
    names = {path.name for path in (bundle / "tensorrt").iterdir()}
    assert names == {"model.onnx", "build.sh", "kit.json"}
    model = onnx.load(bundle / "tensorrt/model.onnx")
    assert model.opset_import[0].version <= 20
    kit = json.loads((bundle / "tensorrt/kit.json").read_text())
    assert kit["inputs"] == [node.name for node in model.graph.input]
    assert read_profiles(bundle / "tensorrt/kit.json")[-1].max == (MAX_BATCH, 32)


def test_golden_answers_are_those_of_the_typed_graph(bundle):
    golden = json.loads((bundle / "golden.json").read_text())
    runner = OrtRunner(bundle / "tensorrt/model.onnx", optimize=False)
    tokenizer = Tokenizer(bundle / "tokenizer.json", 32)
    answers = golden["targets"]["tensorrt"]
    found = [runner.run(tokenizer.encode([text]))[0] for text in golden["texts"]]
    np.testing.assert_allclose(found, answers["logits"], atol=1e-5)
    assert answers["tolerance"] > golden["targets"]["onnxruntime"]["tolerance"]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_float_formats(bert, tmp_path, precision):
    summary = compiled(bert, tmp_path, target="tensorrt", float_precision=precision)
    target = read_bundle(tmp_path / "bundle").manifest.targets[0]
    assert (target.precision, target.float_precision) == ("int8", precision)
    assert ("halve" in summary["edits"]) == (precision == "float16")


def test_bfloat16_is_refused_before_anything_is_built():
    with pytest.raises(ValueError, match="float_precision is bfloat16, expected float16 or float"):
        CompileConfig(also=("tensorrt",), target="openvino", float_precision="bfloat16")


def test_values_beyond_half_are_refused(bert, tmp_path):
    exported = tmp_path / "exported"
    shutil.copytree(bert.exported, exported)
    model = onnx.load(exported / "model.onnx")
    for node in weight_matmuls(model)[:-1]:  # outputs beyond 65504, but no weight
        weight = initializers(model)[node.input[1]]
        values = numpy_helper.to_array(weight) * 2e4
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, exported / "model.onnx")
    with pytest.raises(BundleError, match=r"NaN or infinity, .*set compile\.float_precision to"):
        compile_bundle(
            out=tmp_path,
            config=CompileConfig(target="tensorrt"),
            data=bert.data,
            exported=exported,
            quantized=None,
            lineage={},
            name="tiny",
        )


@pytest.mark.skipif(why_not("tensorrt") is None, reason="this machine has TensorRT and a GPU")
def test_a_machine_without_tensorrt_says_so(bundle):
    with pytest.raises(BundleError, match=r"tensorrt cannot run here: .*(install|driver|GPU)"):
        Engine.open(bundle, target="tensorrt")
    assert Engine.open(bundle).describe().startswith("onnxruntime")


def test_no_driver_is_said():
    reason = why_no_gpu("libno_such_driver.so.1")
    assert reason is not None
    assert "libno_such_driver.so.1 does not load" in reason or "cuda-bindings" in reason


def test_centred_activations_cover_what_they_covered(bert):
    before = onnx.load(bert.quantized / "model.onnx")
    after = onnx.load(bert.quantized / "model.onnx")
    assert center_activations(after) == 10
    ranges = [
        {
            node.input[0]: [
                (bound - int(numpy_helper.to_array(stored[node.input[2]])))
                * float(numpy_helper.to_array(stored[node.input[1]]))
                for bound in (-128, 127)
            ]
            for node in model.graph.node
            if node.op_type == "QuantizeLinear"
        }
        for model, stored in ((model, initializers(model)) for model in (before, after))
    ]
    for tensor, (low, high) in ranges[0].items():
        largest = max(-low, high)
        assert ranges[1][tensor] == pytest.approx([-largest * 128 / 127, largest])
    assert center_activations(after) == 10  # a centred one stays
    assert {int(z) for z in zero_points(after)} == {0}


def zero_points(model):
    stored = initializers(model)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            yield numpy_helper.to_array(stored[node.input[2]])


def with_quantized_attention(model):
    """Q/DQ before the products of two activations."""
    stored, nodes = initializers(model), list(model.graph.node)
    producer = producers(model)
    del model.graph.node[:]
    for node in nodes:
        sources = [producer.get(name) for name in node.input]
        is_weighted = any(
            name in stored or (source and source.op_type == "DequantizeLinear")
            for name, source in zip(node.input, sources, strict=True)
        )
        if node.op_type == "MatMul" and not is_weighted:
            for index, name in enumerate(node.input):
                scale, zero, middle, out = (f"{node.name}_{index}_{part}" for part in "szqd")
                add_constant(model, scale, np.float32(8 / 127))
                add_constant(model, zero, np.int8(0))
                quantize = helper.make_node("QuantizeLinear", [name, scale, zero], [middle])
                dequantize = helper.make_node("DequantizeLinear", [middle, scale, zero], [out])
                model.graph.node.extend([quantize, dequantize])
                node.input[index] = out
        model.graph.node.append(node)
    return model


def test_the_last_layers_single_query_stays_in_float(bert):
    model = with_quantized_attention(onnx.load(bert.quantized / "model.onnx"))
    before = sum(1 for _ in zero_points(model))
    assert release_single_queries(model) == 2
    assert sum(1 for _ in zero_points(model)) == before - 4
    onnx.checker.check_model(model, full_check=True)
    lower(model, "float16")
    assert count_matmuls(model) == (13, 1)


def test_profiles_follow_the_lengths():
    histogram = [0] * 10 + [50, 0, 30, 0, 15, 0, 4, 0, 1]
    common, every = profiles_for(histogram, 64)
    assert common == Profile(min=(1, 1), opt=(1, 10), max=(1, 14))
    assert every == Profile(min=(1, 1), opt=(1, 16), max=(MAX_BATCH, 64))
    assert profiles_for([0, 0, 0, 9], 3) == (Profile(min=(1, 1), opt=(1, 3), max=(8, 3)),)


def test_the_narrowest_profile_that_fits_is_taken():
    profiles = profiles_for([0, 0, 0, 9, 1], 32)
    assert [profile_of(shape, profiles) for shape in ((1, 3), (1, 4), (2, 3))] == [0, 1, 1]
    with pytest.raises(BundleError, match=r"shape \(1, 33\), expected up to \(8, 32\)"):
        profile_of((1, 33), profiles)


def test_a_kit_that_is_broken(tmp_path):
    (tmp_path / "kit.json").write_text('{"profiles": [{"min": [1, 1]}]}')
    with pytest.raises(BundleError, match="names no profiles"):
        read_profiles(tmp_path / "kit.json")


def run_script(bundle, *arguments, trtexec):
    return subprocess.run(
        ["sh", str(bundle / "tensorrt/build.sh"), *arguments],
        env={**os.environ, "TRTEXEC": trtexec},
        capture_output=True,
        text=True,
        check=False,
    )


def test_build_script(bundle, tmp_path):
    nothing = run_script(bundle, trtexec="echo")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    absent = run_script(bundle, str(tmp_path), trtexec="no-such-trtexec")
    assert "no-such-trtexec is not there" in absent.stderr
    shown = run_script(bundle, str(tmp_path / "a b"), trtexec="echo")
    assert f"--onnx={bundle}/tensorrt/model.onnx --stronglyTyped --profile=0" in shown.stdout
    assert re.search(r"--memPoolSize=workspace:\d+ ", shown.stdout)
    assert "--maxShapes=input_ids:8x32,attention_mask:8x32,token_type_ids:8x32" in shown.stdout
    assert shown.returncode != 0  # echo writes no engine, so none appears
    assert list((tmp_path / "a b").iterdir()) == []


def test_opening_a_bundle_imports_no_tensorrt():
    code = "import sys, pocketbert.deploy.engine; print('tensorrt' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


@pytest.mark.gpu
def test_on_a_gpu_the_golden_answers_come_back(bundle, monkeypatch, tmp_path):
    assert why_not("tensorrt") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build(bundle, "tensorrt")
    assert selftest(bundle, "tensorrt").passed
    engine = Engine.open(bundle, "tensorrt")
    one_by_one = engine.logits(TEXTS * 3)
    tolerance = 0.1 * np.abs(one_by_one).max()
    np.testing.assert_allclose(engine.logits(TEXTS * 3, batch_size=12), one_by_one, atol=tolerance)


@pytest.mark.gpu
def test_on_a_gpu_float_answers_are_those_of_the_graph(bert, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiled(bert, tmp_path, is_int8=False, target="tensorrt")
    expected = Engine.from_onnx(bert.exported, ("bad", "good"), 32).logits(TEXTS)
    found = Engine.open(tmp_path / "bundle").logits(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())

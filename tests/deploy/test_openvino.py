"""The OpenVINO target, built and run by the real plugin."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from pocketbert.compress.data import load_split
from pocketbert.compress.errors import BundleError
from pocketbert.deploy import runners
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.runners.openvino import OpenvinoRunner, cache_folder
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.silent_openvino import openvino
from pocketbert.deploy.targets import Ingredients, build_target
from pocketbert.deploy.targets.openvino import MAX_BUCKETS
from pocketbert.deploy.tokenizer import Tokenizer

MODELS = ["bert", "mpnet", "biased", "factorised", "bilstm"]
TEXTS = ["superb", "the film is dull", "a story of a lovely and gripping plot", "and"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Compiled models of tests do not belong into the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def compiled(stages, out, quantized, **config):
    compile_bundle(
        out=out,
        config=CompileConfig(**{"target": "openvino"} | config),
        data=stages.data,
        exported=stages.exported,
        quantized=quantized,
        lineage={},
        name="tiny",
    )
    return out / "bundle"


@pytest.fixture(scope="module", params=MODELS)
def stages(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def int8(bert, tmp_path_factory):
    return compiled(bert, tmp_path_factory.mktemp("int8"), bert.quantized)


def ingredients_of(stages) -> Ingredients:
    return Ingredients(
        exported=stages.exported,
        quantized=stages.quantized,
        isa=available_isas()[0],
        float_precision=None,
        lengths=(),
        threads=1,
        max_length=32,
        length_histogram=(0, 1, 1),
    )


def logits_of(exported: Path) -> np.ndarray:
    return Engine.from_onnx(exported, ("bad", "good"), 32).logits(TEXTS)


def test_float32_is_the_exported_graph(stages, tmp_path):
    bundle = compiled(stages, tmp_path, None, float_precision="float32")
    assert selftest(bundle).passed
    logits = Engine.open(bundle).logits(TEXTS)
    np.testing.assert_allclose(logits, logits_of(stages.exported), atol=1e-3)


@pytest.mark.skipif(
    "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="OpenVINO does not compute in BF16 on this processor",
)
def test_bfloat16_agrees(stages, tmp_path):
    bundle = compiled(stages, tmp_path, None, float_precision="bfloat16")
    assert selftest(bundle).passed
    expected = logits_of(stages.exported)
    logits = Engine.open(bundle).logits(TEXTS)
    np.testing.assert_allclose(logits, expected, atol=0.05 * np.abs(expected).max())


def test_int8_agrees_with_its_operators_one_by_one(stages, tmp_path):
    bundle = compiled(stages, tmp_path, stages.quantized)
    assert selftest(bundle).passed
    # What was converted: without VNNI the weights have 7 bits, unlike the canonical layout's.
    (tmp_path / "again").mkdir()
    built = build_target("openvino", "openvino", ingredients_of(stages), tmp_path / "again")
    reference = OrtRunner(built.reference, optimize=False)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    expected = np.concatenate([reference.run(tokenizer.encode([text])) for text in TEXTS])
    logits = Engine.open(bundle).logits(TEXTS)
    np.testing.assert_allclose(logits, expected, atol=0.05 * np.abs(expected).max())
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("name", ["bert", "biased"])
def test_int8_at_a_fixed_length_is_exact_but_for_values_on_a_rounding_step(name, request, tmp_path):
    # A bias on distances that -1e4 was added to first differs on every other text.
    stages = request.getfixturevalue(name)
    built = build_target("openvino", "openvino", ingredients_of(stages), tmp_path)
    runner = OpenvinoRunner(tmp_path / "model.xml", lengths=(32,))
    reference = OrtRunner(built.reference, optimize=False)
    tokenizer = Tokenizer(stages.exported / "tokenizer.json", 32)
    inputs = [tokenizer.encode([text]) for text in load_split(stages.data, "validation").texts[:40]]
    worst = [np.abs(runner.run(one) - reference.run(one)).max() for one in inputs]
    assert np.quantile(worst, 0.8) < 1e-4


@pytest.mark.parametrize("name", ["bert", "mpnet", "biased", "factorised"])
def test_weight_products_really_run_in_int8(name, request, tmp_path):
    stages = request.getfixturevalue(name)
    (target,) = read_bundle(compiled(stages, tmp_path, stages.quantized)).manifest.targets
    matmuls = stages.quantize["quantized_matmuls"]
    assert (target.int8_matmuls, target.float_weight_matmuls) == (matmuls, 1)  # the classifier
    assert (target.precision, target.float_precision) == ("int8", "float32")


def test_no_product_of_a_float_bundle_runs_in_int8(bert, tmp_path):
    bundle = compiled(bert, tmp_path, None, float_precision="float32")
    (target,) = read_bundle(bundle).manifest.targets
    assert (target.int8_matmuls, target.float_weight_matmuls) == (0, 14)
    assert (target.isa, target.precision) == ("any", "float32")


def test_lengths_come_from_the_data(int8):
    manifest = read_bundle(int8).manifest
    (target,) = manifest.targets
    assert 1 < len(target.lengths) <= MAX_BUCKETS
    assert target.lengths[-1] == len(manifest.length_histogram) - 1


def test_padding_changes_nothing(bert, int8):
    inputs = Tokenizer(bert.exported / "tokenizer.json", 32).encode(["a dull film"])
    plain = OpenvinoRunner(int8 / "openvino/model.xml").run(inputs)
    for length in (6, 7, 16, 32):
        padded = OpenvinoRunner(int8 / "openvino/model.xml", lengths=(length,)).run(inputs)
        np.testing.assert_allclose(padded, plain, atol=1e-4)


def test_what_no_length_fits_runs_too(bert, int8):
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", 32)
    runner = OpenvinoRunner(int8 / "openvino/model.xml", lengths=(4,))
    plain = OpenvinoRunner(int8 / "openvino/model.xml")
    for texts in (["a dull film and a story"], ["superb", "dull"], ["superb"]):
        inputs = tokenizer.encode(texts)
        logits = runner.run(inputs)
        assert logits.shape == (len(texts), 2)
        np.testing.assert_allclose(logits, plain.run(inputs), atol=1e-4)


def test_answers_outlive_the_next_call(bert, int8):
    engine = Engine.open(int8)
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", 32)
    runner = OpenvinoRunner(int8 / "openvino/model.xml", lengths=(32,))
    first = runner.run(tokenizer.encode(TEXTS[:1]))
    kept = first.copy()
    runner.run(tokenizer.encode(TEXTS[1:2]))
    np.testing.assert_array_equal(first, kept)
    assert len(engine(TEXTS)) == len(TEXTS)


def test_several_threads_at_once(int8):
    engine = Engine.open(int8)
    expected = engine.logits(TEXTS)
    answers = {}

    def work(number):
        answers[number] = [engine.logits(TEXTS[number : number + 1]) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(TEXTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, rows in answers.items():
        np.testing.assert_allclose(np.concatenate(rows), [expected[number]] * 50, atol=1e-5)


def test_compiled_models_are_kept_in_the_users_cache(int8, cache):
    Engine.open(int8)(TEXTS[:1])
    weights = read_bundle(int8).manifest.sha256["openvino/model.bin"]
    assert cache_folder() == cache / "pocketbert" / "openvino"
    assert list((cache_folder() / weights[:16]).glob("*.blob"))
    assert Engine.open(int8)(TEXTS[:1]) == Engine.open(int8)(TEXTS[:1])


def test_two_runtimes_in_one_bundle(bert, tmp_path):
    bundle = compiled(bert, tmp_path, bert.quantized, target="onnxruntime", also=("openvino",))
    assert [target.name for target in read_bundle(bundle).manifest.targets] == [
        "onnxruntime",
        "openvino",
    ]
    assert selftest(bundle, "openvino").engine.startswith("openvino: openvino, int8")
    golden = json.loads((bundle / "golden.json").read_text())["targets"]
    assert golden["openvino"] == golden["onnxruntime"]  # one calibration, one set of numbers


@pytest.mark.parametrize("damage", [b"nothing", b"<?xml version='1.0'?><net/>"])
def test_a_file_that_is_no_model(tmp_path, damage):
    (tmp_path / "model.xml").write_bytes(damage)
    with pytest.raises(BundleError, match=r"model.xml does not load \(.+\), expected a model for"):
        OpenvinoRunner(tmp_path / "model.xml")


def test_weights_that_are_missing(int8, tmp_path):
    (tmp_path / "model.xml").write_bytes((int8 / "openvino/model.xml").read_bytes())
    with pytest.raises(BundleError, match="does not load"):
        OpenvinoRunner(tmp_path / "model.xml")


def test_weights_that_end_too_early(int8, tmp_path):
    for suffix, end in ((".xml", None), (".bin", 1000)):
        source = (int8 / "openvino/model.xml").with_suffix(suffix)
        (tmp_path / f"model{suffix}").write_bytes(source.read_bytes()[:end])
    with pytest.raises(BundleError, match="does not load"):
        OpenvinoRunner(tmp_path / "model.xml")


def test_a_format_that_the_processor_lacks(bert, tmp_path):
    with pytest.raises(BundleError, match=r"float_precision is float16, expected one that OpenV"):
        compiled(bert, tmp_path, None, float_precision="float16")


def test_openvino_is_not_installed(bert, int8, tmp_path, monkeypatch):
    row = runners.Row("nowhere:open_target", "no_such_package", "pip install it")
    monkeypatch.setitem(runners.RUNNERS, "openvino", row)
    with pytest.raises(BundleError, match=r"no_such_package is not installed \(pip install it\)"):
        Engine.open(int8)


def test_lengths_of_the_recipe_go_before_those_of_the_data(bert, tmp_path):
    compiled(bert, tmp_path, None, lengths=(5, 11))
    assert read_bundle(tmp_path / "bundle").manifest.targets[0].lengths == (5, 11)


def test_lengths_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"lengths is \[9, 3\], expected numbers of tokens"):
        CompileConfig(target="openvino", lengths=(9, 3))


def test_lengths_that_no_target_reads_are_refused():
    with pytest.raises(ValueError, match="expected none without openvino or auto"):
        CompileConfig(target="onnxruntime", lengths=(8,))

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.engine import Engine

TEXTS = ["superb", "", "the film is a very dull story of the actors", "clumsy plot", "x" * 500]


@pytest.fixture(scope="module")
def engine(bert):
    return Engine.open(bert.bundle)


def test_answers_are_typed_and_sum_to_one(engine):
    answers = engine(TEXTS)
    assert len(answers) == len(TEXTS)
    for answer in answers:
        assert set(answer.probabilities) == {"bad", "good"}
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.score == max(answer.probabilities.values())
        assert answer.probabilities[answer.label] == answer.score


def test_no_texts_no_answers(engine):
    assert engine([]) == []
    assert engine.logits([]).shape == (0, 2)


def test_a_single_string_is_a_mistake(engine):
    with pytest.raises(TypeError, match="expected a list of strings"):
        engine("superb")


@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_batches_keep_the_order(bert, batch_size):
    engine = Engine.from_onnx(bert.exported, ("bad", "good"), 32)
    expected = engine.logits(TEXTS)
    np.testing.assert_allclose(engine.logits(TEXTS, batch_size), expected, atol=1e-5)


def test_threads_share_an_engine(engine):
    expected = engine.logits(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: engine.logits(TEXTS), range(40)):
            np.testing.assert_array_equal(found, expected)
        streams = pool.map(lambda _: list(engine.stream(TEXTS)), range(8))
        assert all(answers == engine(TEXTS) for answers in streams)


def test_batches_are_of_like_length_and_never_padded_to_the_maximum(bert):
    engine = Engine.from_onnx(bert.exported, ("bad", "good"), 32)
    runner, shapes = engine._runner, []

    class Seen:
        def run(self, inputs):
            shapes.append(inputs["input_ids"].shape)
            return runner.run(inputs)

    engine._runner = Seen()
    engine.logits(["film " * words for words in (1, 25, 2, 26, 1, 27)], batch_size=3)
    assert shapes == [(3, 4), (3, 29)]


def test_streams_in_order_without_reading_far_ahead(engine):
    taken = 0

    def texts():
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield "film " * (number % 20)

    answers = engine.stream(texts())
    first = [next(answers) for _ in range(3)]
    assert taken == 3
    assert first == engine(["", "film ", "film film "])
    list(islice(engine.stream(texts(), batch_size=4), 5))
    assert taken <= 3 + 16 * 4
    longer = ["superb", "dull " * 20, "", "clumsy plot"] * 40
    for one, other in zip(engine.stream(iter(longer), 8), engine(longer), strict=True):
        assert one.score == pytest.approx(other.score, abs=0.05)
    with pytest.raises(TypeError, match="texts is one string"):
        next(engine.stream("superb"))


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_pytorch_and_export_agree(name, request):
    stages = request.getfixturevalue(name)
    eager = Engine.from_model_folder(stages.student / "model")
    exported = Engine.from_onnx(stages.exported, eager.labels, 32)
    assert eager.labels == ("bad", "good")
    np.testing.assert_allclose(eager.logits(TEXTS), exported.logits(TEXTS), atol=1e-4)
    np.testing.assert_allclose(eager.logits(TEXTS, 5), exported.logits(TEXTS, 5), atol=1e-4)


def test_describes_what_runs_and_why(bert):
    said = Engine.open(bert.bundle, threads=2).describe()
    assert "int8" in said
    assert "2 threads" in said
    assert "first that this machine can run" in said
    assert "asked for" in Engine.open(bert.bundle, target="onnxruntime").describe()


def test_unknown_target(bert):
    with pytest.raises(BundleError, match="no target 'tensorrt', expected one of: onnxruntime"):
        Engine.open(bert.bundle, target="tensorrt")


@pytest.mark.parametrize("isa", ["x86_64_vnni", "arm64"])
def test_refuses_another_instruction_set(bert, tmp_path, isa):
    if isa in available_isas():
        pytest.skip(f"this processor has {isa}")
    compile_bundle(
        out=tmp_path,
        config=CompileConfig(isa=isa),
        data=bert.data,
        exported=bert.exported,
        quantized=bert.quantized,
        lineage={},
        name="tiny",
    )
    with pytest.raises(BundleError, match=f"compiled for {isa}, this processor has"):
        Engine.open(tmp_path / "bundle")


def test_a_device_needs_no_training_library(bert):
    code = (
        "import sys; from pocketbert.deploy.engine import Engine; "
        "from pocketbert.deploy.selftest import selftest; "
        f"assert selftest(__import__('pathlib').Path({str(bert.bundle)!r})).passed; "
        "print(sorted({'torch', 'transformers', 'onnx', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

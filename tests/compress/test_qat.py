"""Learning in INT8: it rounds as the engine does, it helps, it leaves an ordinary model behind."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import parametrize

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import (
    LogitsConfig,
    ObjectivesConfig,
    QatConfig,
    TrainingConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.fake_quantization import (
    RANGE_RATE,
    RoundedInput,
    RoundedWeight,
    add_rounding,
    remove_rounding,
    set_stage,
)
from pocketbert.compress.folder import load_description, load_model, load_tokenizer, save_model
from pocketbert.compress.lesson import Lesson, learn_from_teacher
from pocketbert.compress.qat import measure_ranges, train_quantized
from pocketbert.compress.surgery import bert_layers
from pocketbert.compress.teacher_outputs import load_teacher_outputs
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.tokenizer import Tokenizer

LOGITS = ObjectivesConfig(logits=LogitsConfig(weight=1.0))
LEARNING = TrainingConfig(epochs=4, learning_rate=8e-4, batch_size=16, precision="float32")
CONFIG = QatConfig(weight_bits=7, calibration_examples=64, objectives=LOGITS, training=LEARNING)


def int8_of(to_int8, student, data, root, isa):
    """Export, quantize and lower; return the path of the float and of the INT8 model."""
    for name in ("onnx", "int8"):
        (root / name).mkdir(parents=True)
    export_onnx(out=root / "onnx", data=data, model=student)  # proves parity
    config = QuantizeConfig(calibration_examples=64)
    to_int8(out=root / "int8", config=config, data=data, exported=root / "onnx")
    model = onnx.load(root / "int8/model.onnx")
    lower(model, onnx.load(root / "onnx/model.onnx"), isa)
    onnx.save(model, root / "onnx/lowered.onnx")
    return root / "onnx/model.onnx", root / "onnx/lowered.onnx"


def logits(path, data):
    tokenizer = Tokenizer(path.parent / "tokenizer.json", 32)
    runner = OrtRunner(path, optimize=False)
    texts = load_split(data, "validation").texts
    return np.concatenate([runner.run(tokenizer.encode([text])) for text in texts])


@pytest.fixture(scope="module")
def hard(student, tmp_path_factory):
    """The student with the same logits, whose attention INT8 wipes out.

    In one dimension of each head the values shrink and the matrix behind them grows, so that this
    column alone sets the scales of that matrix, and all others become 0.
    """
    folder = tmp_path_factory.mktemp("hard")
    model = load_model(student[0] / "model")
    for layer in bert_layers(model):
        attention = layer.attention
        with torch.no_grad():
            for column in range(0, 32, 8):
                attention.self.value.weight[column] /= 300
                attention.self.value.bias[column] /= 300
                attention.output.dense.weight[:, column] *= 300
    tokenizer = load_tokenizer(student[0] / "model")
    save_model(model, tokenizer, load_description(student[0] / "model"), folder / "model")
    return folder


@pytest.fixture(scope="module")
def trained(hard, outputs, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("qat")
    summary = train_quantized(
        config=CONFIG, seed=0, data=tiny_data, examples=tiny_data, student=hard,
        teacher_outputs=outputs, out=out,
    )  # fmt: skip
    return out, summary


def agreement(found, outputs):
    teacher = load_teacher_outputs(outputs).validation_logits
    return (found.argmax(1) == teacher.argmax(1)).mean()


def test_it_saves_what_post_training_quantization_loses(
    hard, trained, outputs, tiny_data, tmp_path, to_int8
):
    floats, engines = {}, {}
    for name, folder in (("hard", hard), ("trained", trained[0])):
        paths = int8_of(to_int8, folder, tiny_data, tmp_path / name, "x86_64")
        floats[name], engines[name] = (logits(path, tiny_data) for path in paths)
    assert agreement(floats["hard"], outputs) > 0.95
    assert agreement(engines["hard"], outputs) < 0.8
    assert agreement(engines["trained"], outputs) > 0.95
    difference = np.abs(engines["trained"] - floats["trained"]).max()
    assert 0 < difference < 0.1 * np.abs(floats["trained"]).max()


def test_learning_as_long_in_float_does_not_save_it(hard, outputs, tiny_data, tmp_path, to_int8):
    model, tokenizer = load_model(hard / "model"), load_tokenizer(hard / "model")
    lesson = Lesson(0, tiny_data, tiny_data, load_teacher_outputs(outputs))
    learn_from_teacher(model, tokenizer, LOGITS, LEARNING, lesson, out=tmp_path, title="In float")
    save_model(model, tokenizer, load_description(hard / "model"), tmp_path / "float/model")
    _, int8 = int8_of(to_int8, tmp_path / "float", tiny_data, tmp_path, "x86_64")
    assert agreement(logits(int8, tiny_data), outputs) < 0.8


@pytest.mark.parametrize("kept", [0.995, 0.97])
def test_as_a_fallback_it_trains_only_what_int8_has_harmed(
    kept, student, outputs, tiny_data, tmp_path
):
    (tmp_path / "check").mkdir()
    (tmp_path / "check/int8_check.json").write_text(f'{{"int8_kept": {kept}}}')
    summary = train_quantized(
        config=replace(CONFIG, only_below=0.99, training=replace(LEARNING, epochs=1)), seed=0,
        data=tiny_data, examples=tiny_data, student=student[0], teacher_outputs=outputs,
        int8_check=tmp_path / "check", out=tmp_path,
    )  # fmt: skip
    before, after = (
        load_file(folder / "model/model.safetensors") for folder in (student[0], tmp_path)
    )
    same = all(torch.equal(before[name], after[name]) for name in before)
    trained = kept < 0.99
    assert (summary["rounded_matmuls"], summary["steps"] > 0) == (13 * trained, trained)
    assert same != trained
    assert summary["int8_kept"] == kept


def test_what_is_left_is_an_ordinary_model_of_the_same_shape(hard, trained):
    folder, summary = trained
    assert [path.name for path in folder.iterdir()] == ["model"]
    before, after = (load_model(path / "model").state_dict() for path in (hard, folder))
    assert {name: w.shape for name, w in before.items()} == {
        name: w.shape for name, w in after.items()
    }
    assert summary["rounded_matmuls"] == 13  # 2 layers of 6, and the pooler; not the classifier
    assert summary["teacher_agreement"] > 0.95
    weight = after["bert.encoder.layer.0.attention.output.dense.weight"]
    steps = weight / (weight.abs().amax(1, keepdim=True) / 64)
    assert (steps - steps.round()).abs().max() > 0.1  # the weights behind the rounding


@pytest.mark.parametrize(("bits", "isa"), [(8, "arm64"), (7, "x86_64")])
def test_weights_are_rounded_as_the_engine_rounds_them(
    bits, isa, student, tiny_data, tmp_path, to_int8
):
    model = load_model(student[0] / "model")
    for linear in add_rounding(model, bits):
        linear.input_rounding.stage = "fixed"
    rounded = [m.weight.detach().numpy() for m in model.modules() if parametrize.is_parametrized(m)]
    _, path = int8_of(to_int8, student[0], tiny_data, tmp_path / "int8", isa)
    graph = onnx.load(path).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    held = [
        stored[node.input[0]].astype(np.float32) * stored[node.input[1]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    ]
    assert len(held) == len(rounded) == 13
    for weight in rounded:
        same_shape = [matrix.T for matrix in held if matrix.T.shape == weight.shape]
        nearest = min(np.abs(matrix - weight).max() for matrix in same_shape)
        assert nearest <= 1e-6 * np.abs(weight).max()


def test_the_rounded_model_says_what_the_int8_engine_says(student, tiny_data, tmp_path, to_int8):
    (tmp_path / "onnx").mkdir()
    (tmp_path / "int8").mkdir()
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=student[0])
    everything = QuantizeConfig(calibration_examples=10_000)
    to_int8(out=tmp_path / "int8", config=everything, data=tiny_data, exported=tmp_path / "onnx")
    onnx.save(onnx.load(tmp_path / "int8/model.onnx"), tmp_path / "onnx/int8.onnx")
    model, tokenizer = load_model(student[0] / "model"), load_tokenizer(student[0] / "model")
    linears = add_rounding(model, 8)
    train = tokenize(load_split(tiny_data, "train"), tokenizer, 32)
    measure_ranges(model, tokenizer, linears, train)
    ranges = json.loads((tmp_path / "int8/calibration.json").read_text())
    last = bert_layers(model)[1]  # of whose inputs the exported graph computes the first position
    for linear, name in (
        (last.attention.self.query, "layer.0/output/LayerNorm/LayerNormalization_output_0_first_1"),
        (last.intermediate.dense, "layer.1/attention/output/LayerNorm/LayerNormalization_output_0"),
        (last.output.dense, "layer.1/intermediate/intermediate_act_fn/Mul_1_output_0"),
    ):
        low, high = ranges[f"/model/bert/encoder/{name}"]
        assert linear.input_rounding.low <= low + 0.02
        assert linear.input_rounding.high >= high - 0.02
        linear.input_rounding.low.fill_(low)
        linear.input_rounding.high.fill_(high)
    texts = load_split(tiny_data, "validation").texts
    with torch.no_grad():
        rounded = torch.cat([model(**tokenizer(t, return_tensors="pt")).logits for t in texts])
    engine = logits(tmp_path / "onnx/int8.onnx", tiny_data)
    exact = logits(tmp_path / "onnx/model.onnx", tiny_data)
    # A value on the edge between two steps may fall to either side, so that some texts differ.
    off, lost = (np.median(np.abs(x - engine)) for x in (rounded.numpy(), exact))
    assert off < 0.1 * lost


def test_inputs_are_rounded_over_the_range_seen_and_zero_stays_zero():
    rounding = RoundedInput()
    values = torch.tensor([-0.17, 0.0, 0.3, 2.0])
    assert rounding(values) is values
    rounding.stage = "fixed"
    step = 2.17 / 255
    found = rounding(torch.tensor([-0.17, 0.0, 0.3, 2.0, 9.0]))
    expected = torch.tensor([-0.17, 0.0, 0.3, 2.0, 2.0])
    assert found[1] == 0
    assert (found - expected).abs().max() <= 0.51 * step
    assert torch.unique(rounding(torch.linspace(-3, 3, 5000))).numel() == 256


def test_gradients_pass_the_rounding_and_stop_at_the_range():
    rounding = RoundedInput()
    rounding(torch.tensor([-1.0, 1.0]))
    rounding.stage = "fixed"
    values = torch.tensor([0.123, 5.0], requires_grad=True)
    rounding(values).sum().backward()
    assert values.grad.tolist() == [1.0, 0.0]
    linear = nn.Linear(3, 2, bias=False)
    parametrize.register_parametrization(linear, "weight", RoundedWeight(7))
    linear(torch.ones(1, 3)).sum().backward()
    assert linear.parametrizations.weight.original.grad.tolist() == [[1.0] * 3] * 2


def test_ranges_follow_in_training_only():
    rounding = RoundedInput().train()
    rounding(torch.tensor([-1.0, 1.0]))
    for stage, mode in (("fixed", True), ("following", False)):
        rounding.stage = stage
        rounding.train(mode)(torch.tensor([3.0]))
        assert (rounding.low.item(), rounding.high.item()) == (-1.0, 1.0)
    rounding.train()(torch.tensor([3.0]))
    assert rounding.high.item() == pytest.approx(1.0 + 2.0 * RANGE_RATE)
    assert rounding.low.item() == pytest.approx(-1.0 + 1.0 * RANGE_RATE)
    assert set(rounding.state_dict()) == {"low", "high"}


def test_without_rounding_the_logits_are_as_before(student):
    model = load_model(student[0] / "model")
    ids = torch.tensor([[2, 7, 30, 41, 3]])
    expected = model(input_ids=ids).logits
    linears = add_rounding(model, 8)
    set_stage(linears, "fixed")
    assert not torch.equal(model(input_ids=ids).logits, expected)
    remove_rounding(linears)
    assert torch.equal(model(input_ids=ids).logits, expected)


SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import *
    from pocketbert.compress.qat import measure_ranges, train_quantized
    training = TrainingConfig(
        epochs=4, learning_rate=2e-3, batch_size=16, precision="float32", evaluations_per_epoch=1
    )
    config = QatConfig(
        calibration_examples=32, objectives=ObjectivesConfig(logits=LogitsConfig(weight=1.0)),
        training=training,
    )
    student, outputs, data, out = map(Path, sys.argv[1:])
    train_quantized(
        config=config, seed=0, data=data, examples=data, student=student, teacher_outputs=outputs,
        out=out,
    )
"""


def test_killed_it_ends_with_the_same_bytes(student, outputs, tiny_data, whole_and_killed):
    whole, killed, _ = whole_and_killed(SCRIPT, student[0], outputs, tiny_data)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()

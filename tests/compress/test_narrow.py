"""A narrower residual stream: what goes, what least squares brings back, and later stages."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.config import (
    HiddenConfig,
    LogitsConfig,
    ObjectivesConfig,
    PatientConfig,
    PruneConfig,
    QatConfig,
    SparsifyConfig,
    TrainingConfig,
    TrimConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_description,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.importance import hidden_importance
from pocketbert.compress.narrow import narrow
from pocketbert.compress.prune import prune
from pocketbert.compress.qat import train_quantized
from pocketbert.compress.sparsify import sparsify
from pocketbert.compress.states import run_with_states, state_width
from pocketbert.compress.surgery import hidden_width, widths_of
from pocketbert.compress.vocabulary import trim
from pocketbert.compress.word_factors import factorise_words
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.selftest import selftest

IDS = torch.tensor([[2, 40, 41, 42, 3], [2, 33, 3, 0, 0]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
QUICK = TrainingConfig(epochs=1, learning_rate=1e-3, batch_size=32, precision="float32")


def logits(model):
    with torch.no_grad():
        return model(**BATCH).logits


@pytest.fixture
def model(tiny_checkpoint):
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(tiny_checkpoint, initializer_range=0.3)
    return BertForSequenceClassification(config).eval()


def test_the_dimensions_that_matter_most_stay(model):
    scores = hidden_importance(model, [BATCH])
    table = model.bert.embeddings.word_embeddings.weight.detach().clone()
    narrow(model, [BATCH], PruneConfig(hidden=0.25, hidden_multiple=8))
    best = scores.topk(24).indices.sort().values
    found = model.bert.embeddings.word_embeddings.weight
    torch.testing.assert_close(found, table[:, best], atol=0, rtol=0)


@pytest.mark.parametrize(("hidden", "multiple", "width"), [(0.5, 8, 16), (0.4, 8, 16), (0.9, 4, 4)])
def test_the_width_is_a_multiple_in_any_number_of_steps(model, hidden, multiple, width):
    for steps in (1, 3):
        one = BertForSequenceClassification(model.config).eval()
        narrow(one, [BATCH], PruneConfig(hidden=hidden, hidden_multiple=multiple, steps=steps))
        assert hidden_width(one) == width
        assert widths_of(one) == widths_of(model)
        assert one.config.hidden_size == 32


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PruneConfig(hidden=0.5, hidden_multiple=64), "is 64 but the residual stream is 32 wide"),
        (
            PruneConfig(hidden=0.1, hidden_multiple=8),
            "hidden is 0.1, which leaves a residual stream of 32 as it is, expected more than "
            "0.125 or a prune.hidden_multiple below 8",
        ),
    ],
)
def test_widths_that_cannot_be_are_refused(model, config, message):
    with pytest.raises(ModelError, match=message):
        narrow(model, [BATCH], config)


def test_objectives_read_the_real_width(model):
    narrow(model, [BATCH], PruneConfig(hidden=0.25, hidden_multiple=8))
    found = run_with_states(model, BATCH, names=["hidden_-1", "hidden_3", "query_2"])
    assert {name: s.shape[-1] for name, s in found.states.items()} == {
        name: state_width(model, name) for name in found.states
    }
    assert state_width(model, "hidden_3") == 24


def pruned(student, data, out, config, outputs=None):
    out.mkdir(parents=True)
    return prune(
        config=config, seed=0, data=data, examples=data, student=student, teacher_outputs=outputs,
        out=out,
    )  # fmt: skip


@pytest.mark.parametrize("steps", [1, 3])
def test_least_squares_brings_answers_back(student, tiny_data, tmp_path, steps):
    original = load_model(student[0] / "model")
    tokenizer = load_tokenizer(student[0] / "model")
    batch = tokenizer(load_split(tiny_data, "test").texts, padding=True, return_tensors="pt")
    errors = {}
    for reconstruction in ("none", "least_squares"):
        config = PruneConfig(
            hidden=0.5, hidden_multiple=8, steps=steps, reconstruction=reconstruction
        )
        out = tmp_path / reconstruction
        pruned(student[0], tiny_data, out, config)
        with torch.no_grad():
            change = load_model(out / "model")(**batch).logits - original(**batch).logits
        errors[reconstruction] = float(change.square().mean())
    assert errors["least_squares"] < 0.3 * errors["none"]


def test_it_recovers_by_distillation_beside_everything_else_that_goes(
    student, outputs, tiny_data, tmp_path
):
    objectives = ObjectivesConfig(
        hidden=HiddenConfig(weight=0.1),
        patient=PatientConfig(weight=0.1),
        logits=LogitsConfig(weight=1),
    )
    config = PruneConfig(
        hidden=0.25, heads=0.5, neurons=0.5, neuron_multiple=16, hidden_multiple=8, steps=2,
        reconstruction="least_squares", objectives=objectives, training=QUICK,
    )  # fmt: skip
    summary = pruned(student[0], tiny_data, tmp_path / "pruned", config, outputs)
    model = load_model(tmp_path / "pruned/model")
    assert (summary["hidden_size"], summary["widths"]) == (24, widths_of(model))
    assert hidden_width(model) == 24
    assert summary["parameters"] == model.num_parameters() < 0.7 * student[1]["parameters"]
    said = json.loads((tmp_path / "pruned/model/config.json").read_text())
    assert said["hidden_size"] == 32  # of which the head size is a fourth


def test_a_stream_that_keeps_its_width_is_not_described(student, tiny_data, tmp_path):
    pruned(student[0], tiny_data, tmp_path / "pruned", PruneConfig(heads=0.5, neuron_multiple=16))
    assert "hidden_size" not in json.loads((tmp_path / "pruned/model/pocketbert.json").read_text())


@pytest.fixture(scope="module")
def narrowed(student, tiny_data, tmp_path_factory):
    """A student with word factors that lost a quarter of its stream, heads and neurons."""
    root = tmp_path_factory.mktemp("narrowed")
    model = load_model(student[0] / "model")
    factorise_words(model, 16, torch.ones(model.config.vocab_size))
    found = load_description(student[0] / "model")
    description = ModelDescription(found.labels, found.max_length, found.widths, embedding_rank=16)
    save_model(model, load_tokenizer(student[0] / "model"), description, root / "student/model")
    config = PruneConfig(
        hidden=0.25, heads=0.25, hidden_multiple=8, neuron_multiple=16, importance_examples=64,
        reconstruction="least_squares",
    )  # fmt: skip
    pruned(root / "student", tiny_data, root / "pruned", config)
    return root / "pruned"


def in_twos_of_four(folder, data, outputs, out):
    sparsify(
        config=SparsifyConfig(pattern="2:4"), seed=0, data=data, examples=data, student=folder,
        teacher_outputs=None, out=out,
    )  # fmt: skip


def learned_in_int8(folder, data, outputs, out):
    config = QatConfig(
        objectives=ObjectivesConfig(hidden=HiddenConfig(weight=0.1), logits=LogitsConfig(weight=1)),
        training=QUICK, calibration_examples=16,
    )  # fmt: skip
    train_quantized(
        config=config, seed=0, data=data, examples=data, student=folder, teacher_outputs=outputs,
        out=out,
    )  # fmt: skip


def trimmed(folder, data, outputs, out):
    trim(config=TrimConfig(min_count=2), data=data, examples=data, student=folder, out=out)


@pytest.mark.parametrize("stage", [None, in_twos_of_four, learned_in_int8, trimmed])
def test_every_later_stage_takes_it_to_an_int8_engine(
    narrowed, outputs, tiny_data, tmp_path, stage, to_int8
):
    folders = [tmp_path / name for name in ("model", "onnx", "int8", "bundle")]
    for folder in folders:
        folder.mkdir()
    later, onnx, int8, compiled = folders
    if stage is None:
        later = narrowed
    else:
        stage(narrowed, tiny_data, outputs, later)
    assert load_description(later / "model").hidden_size == 24
    weights = load_file(later / "model/model.safetensors")
    assert weights["bert.embeddings.word_embeddings.basis.weight"].shape == (24, 16)
    exported = export_onnx(out=onnx, data=tiny_data, model=later)
    assert exported["parity_max_abs"] < 1e-4
    assert exported["edits"]["first_position_only"] == 4  # queries, output and both of the block
    found = to_int8(
        out=int8, config=QuantizeConfig(calibration_examples=16), data=tiny_data, exported=onnx
    )
    assert found["quantized_matmuls"] == 2 * 6 + 2  # and the word factors' basis and the pooler
    compile_bundle(
        out=compiled, config=CompileConfig(), data=tiny_data, exported=onnx, quantized=int8,
        lineage={}, name="narrow",
    )  # fmt: skip
    assert selftest(compiled / "bundle").passed
    texts = load_split(tiny_data, "test").texts
    tokenizer = load_tokenizer(later / "model")
    with torch.no_grad():
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        wanted = load_model(later / "model")(**batch).logits.argmax(-1).numpy()
    labels = Engine.open(compiled / "bundle").logits(texts).argmax(-1)
    assert np.mean(labels == wanted) > 0.9

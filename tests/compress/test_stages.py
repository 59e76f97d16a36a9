"""The torch-side stages on a tiny model: what they leave, that it reloads, that they resume."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import (
    DistillConfig,
    HiddenConfig,
    LabelsConfig,
    ObjectivesConfig,
    PruneConfig,
    SoftTargetsConfig,
    StudentConfig,
    TeacherConfig,
    TrainingConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.distill import distill
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_model, load_tokenizer
from pocketbert.compress.latency_table import (
    LatencyCurve,
    LatencyTable,
    save_latency_table,
)
from pocketbert.compress.prune import prune
from pocketbert.compress.surgery import widths_of
from pocketbert.compress.teacher import train_teacher
from pocketbert.compress.teacher_outputs import compute_teacher_outputs, load_teacher_outputs
from pocketbert.compress.training import accuracy_of
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.quantize import quantize

TRAINING = TrainingConfig(epochs=4, learning_rate=3e-3, batch_size=16, precision="float32")
OBJECTIVES = ObjectivesConfig(
    soft_targets=SoftTargetsConfig(weight=1.0),
    hidden=HiddenConfig(weight=0.5),
    labels=LabelsConfig(weight=0.2),
)

TABLE = LatencyTable(
    hidden_size=32,
    head_size=8,
    tokens=16,
    threads=1,
    precision="float32",
    machine="none",
    attention=LatencyCurve((0, 1, 2, 3, 4), (0.1, 1.0, 1.5, 2.5, 3.0)),
    feed_forward=LatencyCurve((0, 16, 32, 48, 64), (0.1, 1.0, 2.0, 3.0, 4.0)),
)


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher")
    config = TeacherConfig(model=str(tiny_checkpoint), training=TRAINING)
    summary = train_teacher(config=config, seed=0, data=tiny_data, out=out)
    return out, summary


@pytest.fixture(scope="module")
def outputs(teacher, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("outputs")
    compute_teacher_outputs(
        data=tiny_data, teacher=teacher[0], hidden="tokens", student_layers=2, out=out
    )
    return out


@pytest.fixture(scope="module")
def student(teacher, outputs, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("distill")
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=OBJECTIVES, training=TRAINING
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, teacher=teacher[0], teacher_outputs=outputs, out=out
    )
    return out, summary


def test_teacher_learns_and_cleans_up(teacher):
    out, summary = teacher
    assert summary["validation_accuracy"] > 0.9
    assert summary["validation_interval"][0] < summary["validation_accuracy"]
    assert [path.name for path in out.iterdir()] == ["model"]


def test_teacher_outputs_are_the_teachers_own(teacher, outputs, tiny_data):
    model, tokenizer = load_model(teacher[0] / "model"), load_tokenizer(teacher[0] / "model")
    kept = load_teacher_outputs(outputs)
    text = load_split(tiny_data, "train").texts[17]
    with torch.no_grad():
        found = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
    np.testing.assert_allclose(kept.logits[17], found.logits[0], atol=1e-4)
    states = torch.stack([found.hidden_states[2][0], found.hidden_states[4][0]], dim=1)
    torch.testing.assert_close(kept.hidden[17], states, atol=2e-3, rtol=0)


def test_interrupted_teacher_outputs_go_on(teacher, outputs, tiny_data, tmp_path):
    import shutil

    shutil.copytree(outputs, tmp_path / "out")
    logits = np.load(tmp_path / "out/logits.npy", mmap_mode="r+")
    whole = logits.copy()
    logits[:] = -99
    logits.flush()
    (tmp_path / "out/batches_done.json").write_text("2")
    compute_teacher_outputs(
        data=tiny_data,
        teacher=teacher[0],
        hidden="tokens",
        student_layers=2,
        out=tmp_path / "out",
    )
    redone = np.load(tmp_path / "out/logits.npy")
    skipped = (redone == -99).all(axis=1)
    assert skipped.sum() == 64  # the two batches that were already done are not run again
    np.testing.assert_array_equal(redone[~skipped], whole[~skipped])


def test_student_learns(student):
    assert student[1]["validation_accuracy"] > 0.9


def test_pruned_model_reloads_with_one_call_and_gives_the_same_logits(
    student, outputs, tiny_data, tmp_path, monkeypatch
):
    import pocketbert.compress.prune as stage

    trained = []
    save = stage.save_model
    monkeypatch.setattr(
        stage, "save_model", lambda model, *rest: (trained.append(model), save(model, *rest))
    )
    config = PruneConfig(
        heads=0.5, neurons=0.5, neuron_multiple=16, objectives=OBJECTIVES, training=TRAINING
    )
    summary = prune(
        config=config, seed=0, data=tiny_data, student=student[0], teacher_outputs=outputs,
        out=tmp_path,
    )  # fmt: skip
    reloaded = load_model(tmp_path / "model")
    assert summary["widths"] == widths_of(reloaded)
    assert sum(width["heads"] for width in summary["widths"]) == 4
    assert sum(width["neurons"] for width in summary["widths"]) == 64
    assert summary["parameters"] < student[1]["parameters"]
    ids = torch.tensor([[2, 40, 41, 42, 3]])
    with torch.no_grad():
        torch.testing.assert_close(
            reloaded(input_ids=ids).logits, trained[0](input_ids=ids).logits, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    ("amount", "reconstruction", "steps"),
    [
        ({"heads": 0.5, "neurons": 0.5}, "none", 1),
        ({"heads": 0.5, "neurons": 0.5}, "least_squares", 3),
        ({"speedup": 3.0}, "none", 3),
        ({"speedup": 8.0}, "least_squares", 1),
    ],
)
def test_training_free_pruning_needs_no_teacher_and_reloads_exports_and_quantizes(
    student, tiny_data, tmp_path, amount, reconstruction, steps
):
    table = None
    if "speedup" in amount:
        table = tmp_path / "table.json"
        save_latency_table(TABLE, table)
    config = PruneConfig(
        **amount,
        latency_table=table and str(table),
        neuron_multiple=16,
        steps=steps,
        reconstruction=reconstruction,
        importance_examples=64,
    )
    for name in ("pruned", "onnx", "int8"):
        (tmp_path / name).mkdir()
    summary = prune(
        config=config, seed=0, data=tiny_data, student=student[0], teacher_outputs=None,
        out=tmp_path / "pruned",
    )  # fmt: skip
    assert summary["steps"] == 0
    assert [path.name for path in (tmp_path / "pruned").iterdir()] == ["model"]
    model = load_model(tmp_path / "pruned/model")
    assert summary["widths"] == widths_of(model)
    if table:
        full = [{"heads": 4, "neurons": 64}] * 2
        assert TABLE.encoder_ms(summary["widths"]) <= TABLE.encoder_ms(full) / config.speedup
    else:
        assert sum(width["heads"] for width in summary["widths"]) == 4
        assert sum(width["neurons"] for width in summary["widths"]) == 64
    validation = load_split(tiny_data, "validation")
    tokenizer = load_tokenizer(tmp_path / "pruned/model")
    examples = tokenize(validation, tokenizer, max_length=32)
    assert accuracy_of(model, examples, tokenizer) == summary["validation_accuracy"]
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=tmp_path / "pruned")  # proves parity
    quantized = quantize(
        out=tmp_path / "int8", config=QuantizeConfig(calibration_examples=16, calibration="minmax"),
        data=tiny_data, exported=tmp_path / "onnx",
    )  # fmt: skip
    products = quantized["quantized_matmuls"] + quantized["float_weight_matmuls"]
    per_layer = [4 * (w["heads"] > 0) + 2 * (w["neurons"] > 0) for w in summary["widths"]]
    assert products == sum(per_layer) + 2  # and those of pooler and classifier


def test_in_steps_and_reconstructed_the_answers_stay_nearer(student, tiny_data, tmp_path):
    original = load_model(student[0] / "model")
    tokenizer = load_tokenizer(student[0] / "model")
    batch = tokenizer(load_split(tiny_data, "test").texts, padding=True, return_tensors="pt")
    errors = []
    for number, way in enumerate(({}, {"steps": 4, "reconstruction": "least_squares"})):
        out = tmp_path / str(number)
        out.mkdir()
        config = PruneConfig(heads=0.5, neurons=0.75, neuron_multiple=8, **way)
        prune(
            config=config, seed=0, data=tiny_data, student=student[0], teacher_outputs=None, out=out
        )
        with torch.no_grad():
            change = load_model(out / "model")(**batch).logits - original(**batch).logits
        errors.append(float(change.square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_a_speedup_that_cannot_be_reached_is_refused(student, tiny_data, tmp_path):
    save_latency_table(TABLE, tmp_path / "table.json")
    config = PruneConfig(speedup=40.0, latency_table=str(tmp_path / "table.json"))
    with pytest.raises(ModelError, match=r"prune.speedup is 40, expected at most 3\d\.\d\d"):
        prune(
            config=config, seed=0, data=tiny_data, student=student[0], teacher_outputs=None,
            out=tmp_path,
        )  # fmt: skip


def test_different_tokenizers_cannot_share_token_states(
    teacher, outputs, tiny_data, tiny_checkpoint, tmp_path
):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(tiny_checkpoint, other)
    import json

    tokenizer = json.loads((other / "tokenizer.json").read_text())
    del tokenizer["model"]["vocab"]["film"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = DistillConfig(
        student=StudentConfig(init=str(other), layers=2), objectives=OBJECTIVES, training=TRAINING
    )
    with pytest.raises(ModelError, match="cut the texts into different tokens"):
        distill(
            config=config, seed=0, data=tiny_data, teacher=teacher[0], teacher_outputs=outputs,
            out=tmp_path / "out",
        )  # fmt: skip


TRAIN_SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import TeacherConfig, TrainingConfig
    from pocketbert.compress.teacher import train_teacher
    training = TrainingConfig(epochs=3, learning_rate=3e-3, batch_size=16, precision="float32")
    checkpoint, data, out = sys.argv[1:]
    train_teacher(
        config=TeacherConfig(model=checkpoint, training=training),
        seed=0, data=Path(data), out=Path(out),
    )
"""


def test_killed_training_ends_with_the_same_weights(tiny_checkpoint, tiny_data, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(TRAIN_SCRIPT))

    def command(out: str) -> list[str]:
        paths = [str(script), str(tiny_checkpoint), str(tiny_data), str(tmp_path / out)]
        return [sys.executable, *paths]

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    subprocess.run(command("whole"), check=True, capture_output=True)

    process = subprocess.Popen(
        command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        kept = list((tmp_path / "killed/checkpoints").glob("checkpoint-*/trainer_state.json"))
        if kept:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == -signal.SIGKILL, "the training ended before it could be killed"
    subprocess.run(command("killed"), check=True, capture_output=True)
    whole, killed = (
        Path(tmp_path / name / "model/model.safetensors").read_bytes()
        for name in ("whole", "killed")
    )
    assert whole == killed

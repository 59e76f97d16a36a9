"""The torch-side stages on a tiny model: what they leave, that it reloads, that they resume."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import MPNetConfig, MPNetForSequenceClassification

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import (
    AttentionConfig,
    BilstmConfig,
    DistillConfig,
    EmbeddingsConfig,
    HiddenConfig,
    LabelsConfig,
    LogitsConfig,
    ObjectivesConfig,
    PatientConfig,
    PruneConfig,
    RelationsConfig,
    SoftTargetsConfig,
    StudentConfig,
    TeacherConfig,
    TrainingConfig,
    outputs_wanted,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.distill import distill
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.latency_table import (
    LatencyCurve,
    LatencyTable,
    save_latency_table,
)
from pocketbert.compress.prune import prune
from pocketbert.compress.states import position_bias
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

EVERYTHING = ObjectivesConfig(
    soft_targets=SoftTargetsConfig(weight=1.0),
    logits=LogitsConfig(weight=(0.0, 0.1)),
    hidden=HiddenConfig(weight=0.1),
    patient=PatientConfig(weight=0.1),
    embeddings=EmbeddingsConfig(weight=0.1),
    attention=AttentionConfig(weight=0.1),
    relations=RelationsConfig(weight=(0.2, 0.0), heads=2),
    labels=LabelsConfig(weight=0.2),
)
WANTED = outputs_wanted([OBJECTIVES, EVERYTHING], student_layers=2)
TABLE = LatencyTable(
    hidden_size=32,
    head_size=8,
    tokens=16,
    threads=1,
    precision="float32",
    machine="none",
    attention=LatencyCurve((0, 1, 2, 3, 4), (0.1, 1.0, 1.5, 2.5, 3.0)),
    feed_forward=LatencyCurve((0, 16, 32, 48, 64), (0.1, 1.0, 2.0, 3.0, 4.0)),
    last_attention=LatencyCurve((0, 1, 2, 3, 4), (0.1, 0.5, 0.8, 1.2, 1.5)),
    last_feed_forward=LatencyCurve((0, 16, 32, 48, 64), (0.1, 0.2, 0.3, 0.4, 0.5)),
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
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=WANTED, out=out
    )
    return out


@pytest.fixture(scope="module")
def student(teacher, outputs, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("distill")
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=OBJECTIVES, training=TRAINING
    )
    summary = distill(
        config=config,
        seed=0,
        data=tiny_data,
        examples=tiny_data,
        teacher=teacher[0],
        teacher_outputs=outputs,
        out=out,
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
    assert sorted(kept.states) == [
        "hidden_-1", "hidden_1", "hidden_3", "key_1", "key_3", "query_1", "query_3", "value_3",
    ]  # fmt: skip
    for layer in (-1, 1, 3):
        torch.testing.assert_close(
            kept.states[f"hidden_{layer}"][17],
            found.hidden_states[layer + 1][0],
            atol=2e-3,
            rtol=0,
        )
    attention = model.bert.encoder.layer[3].attention.self
    with torch.no_grad():
        values = attention.value(found.hidden_states[3][0])
    torch.testing.assert_close(kept.states["value_3"][17], values, atol=2e-3, rtol=0)


def test_teacher_outputs_know_the_validation_split(teacher, outputs, tiny_data):
    kept = load_teacher_outputs(outputs)
    labels = load_split(tiny_data, "validation").labels
    found = (kept.validation_logits.argmax(-1) == labels).mean()
    assert found == pytest.approx(teacher[1]["validation_accuracy"])
    assert not list(outputs.rglob("batches_done*"))


def test_first_states_only_need_little(teacher, tiny_data, tmp_path):
    hidden = HiddenConfig(weight=1, layers="last", positions="first")
    wanted = outputs_wanted([ObjectivesConfig(hidden=hidden)], student_layers=2)
    compute_teacher_outputs(
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=wanted, out=tmp_path
    )
    kept = load_teacher_outputs(tmp_path)
    assert list(kept.states) == ["hidden_3"]
    assert kept.states["hidden_3"].rows.shape == (len(kept.logits), 32)


def test_an_mpnet_teachers_position_bias_is_kept(teacher, tiny_data, tmp_path):
    tokenizer = load_tokenizer(teacher[0] / "model")
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40,
    )  # fmt: skip
    model = MPNetForSequenceClassification(config)
    description = ModelDescription(("bad", "good"), 32)
    save_model(model, tokenizer, description, tmp_path / "mpnet/model")
    wanted = outputs_wanted([ObjectivesConfig(attention=AttentionConfig(weight=1))], 2)
    (tmp_path / "out").mkdir()
    compute_teacher_outputs(
        data=tiny_data,
        examples=tiny_data,
        teacher=tmp_path / "mpnet",
        wanted=wanted,
        out=tmp_path / "out",
    )
    kept = load_teacher_outputs(tmp_path / "out")
    assert sorted(kept.states) == ["key_0", "key_1", "query_0", "query_1"]
    assert kept.position_bias.shape == (4, 32, 32)
    torch.testing.assert_close(kept.position_bias, position_bias(model, 32))


def test_layers_that_the_teacher_lacks_are_refused_before_it_runs(teacher, tiny_data, tmp_path):
    hidden = HiddenConfig(weight=1, layers=(1, 4))
    wanted = outputs_wanted([ObjectivesConfig(hidden=hidden)], student_layers=2)
    with pytest.raises(ModelError, match="names teacher layer 4, expected layers 0 to 3"):
        compute_teacher_outputs(
            data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=wanted, out=tmp_path
        )
    assert list(tmp_path.iterdir()) == []


def test_interrupted_teacher_outputs_go_on(teacher, outputs, tiny_data, tmp_path):
    import shutil

    shutil.copytree(outputs, tmp_path / "out")
    logits = np.load(tmp_path / "out/train/logits.npy", mmap_mode="r+")
    values = np.load(tmp_path / "out/train/value_3.npy", mmap_mode="r+")
    whole = logits.copy(), values.copy()
    logits[:] = values[:] = -99
    logits.flush()
    values.flush()
    (tmp_path / "out/train/batches_done.json").write_text("2")
    compute_teacher_outputs(
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=WANTED, out=tmp_path / "out"
    )
    redone = np.load(tmp_path / "out/train/logits.npy"), np.load(tmp_path / "out/train/value_3.npy")
    skipped = (redone[0] == -99).all(axis=1)
    assert skipped.sum() == 64  # the two batches that were already done are not run again
    np.testing.assert_array_equal(redone[0][~skipped], whole[0][~skipped])
    again = (redone[1] != -99).all(axis=1)
    assert 0 < again.sum() < len(again)
    np.testing.assert_array_equal(redone[1][again], whole[1][again])


def test_student_learns(student):
    assert student[1]["validation_accuracy"] > 0.9


def test_a_bilstm_learns_from_the_same_outputs_and_cannot_be_pruned(
    teacher, outputs, tiny_data, tmp_path
):
    soft_targets = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=1.0))
    config = DistillConfig(
        student=StudentConfig(bilstm=BilstmConfig(embedding_size=16, hidden_size=16)),
        objectives=soft_targets,
        training=TRAINING,
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.9
    reloaded = load_model(tmp_path / "model")
    assert summary["parameters"] == reloaded.num_parameters()
    pruning = PruneConfig(heads=0.5, objectives=soft_targets, training=TRAINING)
    with pytest.raises(ModelError, match="'pocketbert-bilstm', expected 'bert'"):
        prune(
            config=pruning, seed=0, data=tiny_data, examples=tiny_data, student=tmp_path,
            teacher_outputs=outputs, out=tmp_path / "pruned",
        )  # fmt: skip


def test_fidelity_is_that_of_the_kept_weights(student, outputs, tiny_data):
    model, tokenizer = load_model(student[0] / "model"), load_tokenizer(student[0] / "model")
    teacher_logits = torch.from_numpy(load_teacher_outputs(outputs).validation_logits.copy())
    texts = load_split(tiny_data, "validation").texts
    with torch.no_grad():
        logits = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])
    agreement = (logits.argmax(-1) == teacher_logits.argmax(-1)).double().mean().item()
    p, q = teacher_logits.softmax(-1), logits.softmax(-1)
    kl = (p * (p / q).log()).sum(-1).mean().item()
    assert student[1]["teacher_agreement"] == pytest.approx(agreement)
    assert student[1]["teacher_kl"] == pytest.approx(kl, rel=1e-3)


def test_all_objectives_together(teacher, outputs, tiny_data, tmp_path):
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=EVERYTHING, training=TRAINING
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.9


def test_a_schedule_is_followed(teacher, outputs, tiny_data, tmp_path):
    """A weight that stayed at its first point, 0, would teach a fresh student nothing."""
    objectives = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=(0.0, 1.0)))
    config = DistillConfig(
        student=StudentConfig(init="fresh", layers=2), objectives=objectives, training=TRAINING
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.8


def test_divergence_stops_and_names_the_objective(teacher, outputs, tiny_data, tmp_path):
    """One broken number in what the teacher said, met in the second epoch at the latest."""
    import shutil

    shutil.copytree(outputs, tmp_path / "broken")
    values = np.load(tmp_path / "broken/train/value_3.npy", mmap_mode="r+")
    values[7] = np.inf
    values.flush()
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=EVERYTHING, training=TRAINING
    )
    message = r"the loss of relations became nan at step \d+, expected a finite one; lower the"
    with pytest.raises(ModelError, match=message):
        distill(
            config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
            teacher_outputs=tmp_path / "broken", out=tmp_path / "out",
        )  # fmt: skip


@pytest.mark.parametrize(("asked", "share"), [(None, 0.1), (0.0, 0.0), (0.3, 0.3)])
def test_dropout_is_the_models_own_unless_asked(asked, share, tiny_checkpoint, tiny_data, tmp_path):
    from dataclasses import replace

    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "validation"), tokenizer, 32)
    fit(
        model, examples, examples, tokenizer, replace(TRAINING, epochs=1, dropout=asked), seed=0,
        folder=tmp_path, title="Fit",
    )  # fmt: skip
    dropouts = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(dropouts) > 8
    assert set(dropouts) == {share}


def test_broken_weights_are_not_kept_as_a_checkpoint(tiny_checkpoint, tiny_data, tmp_path):
    """A step that ends in numbers that are not finite is found out before it is saved."""
    from transformers import TrainerCallback

    from pocketbert.compress.batches import tokenize
    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "train"), tokenizer, 32)

    class Break(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == state.eval_steps:
                model.classifier.weight.data.fill_(float("nan"))

    with pytest.raises(ModelError, match=r"the loss became nan at step \d+"):
        fit(
            model, examples, examples, tokenizer, TRAINING, seed=0, folder=tmp_path / "out",
            title="Break", callbacks=[Break()],
        )  # fmt: skip
    assert not list((tmp_path / "out").glob("checkpoint-*"))


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
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=outputs, out=tmp_path,
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
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=None,
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
            config=config,
            seed=0,
            data=tiny_data,
            examples=tiny_data,
            student=student[0],
            teacher_outputs=None,
            out=out,
        )
        with torch.no_grad():
            change = load_model(out / "model")(**batch).logits - original(**batch).logits
        errors.append(float(change.square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_a_speedup_that_cannot_be_reached_is_refused(student, tiny_data, tmp_path):
    save_latency_table(TABLE, tmp_path / "table.json")
    config = PruneConfig(speedup=30.0, latency_table=str(tmp_path / "table.json"))
    with pytest.raises(ModelError, match=r"prune.speedup is 30, expected at most 22\.48"):
        prune(
            config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
            teacher_outputs=None,
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
            config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
            teacher_outputs=outputs, out=tmp_path / "out",
        )  # fmt: skip


DISTILL_SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import *
    from pocketbert.compress.distill import distill
    training = TrainingConfig(epochs=3, learning_rate=3e-3, batch_size=16, precision="float32")
    objectives = ObjectivesConfig(
        soft_targets=SoftTargetsConfig(weight=(0.0, 1.0)),
        hidden=HiddenConfig(weight=(1.0, 0.0)),
        relations=RelationsConfig(weight=0.1, heads=2),
    )
    teacher, outputs, data, out = sys.argv[1:]
    distill(
        config=DistillConfig(
            student=StudentConfig(init="fresh", layers=2), objectives=objectives, training=training
        ),
        seed=0, data=Path(data), examples=Path(data), teacher=Path(teacher),
        teacher_outputs=Path(outputs), out=Path(out),
    )
"""


def test_killed_training_ends_with_the_same_weights(teacher, outputs, tiny_data, tmp_path):
    """Scheduled weights included; what the data loader, optimizer and dropout drew as well."""
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(DISTILL_SCRIPT))

    def command(out: str) -> list[str]:
        paths = [script, teacher[0], outputs, tiny_data, tmp_path / out]
        return [sys.executable, *map(str, paths)]

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    subprocess.run(command("whole"), check=True, capture_output=True)

    process = subprocess.Popen(
        command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        kept = list((tmp_path / "killed/checkpoints").glob("checkpoint-*/trainer_state.json"))
        # A state file that is still empty makes the next try start from nothing.
        if kept and kept[0].read_text().rstrip().endswith("}"):
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            json.loads(kept[0].read_text())
            before = load_file(kept[0].parent / "model.safetensors")["student.classifier.weight"]
    assert process.returncode == -signal.SIGKILL, "the training ended before it could be killed"
    subprocess.run(command("killed"), check=True, capture_output=True)
    whole, killed = (
        Path(tmp_path / name / "model/model.safetensors").read_bytes()
        for name in ("whole", "killed")
    )
    assert whole == killed
    after = load_file(tmp_path / "killed/model/model.safetensors")["classifier.weight"]
    assert not torch.equal(before, after), "the best weights are older than the kill: shows nothing"

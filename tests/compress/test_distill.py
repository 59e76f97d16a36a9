"""The distill stage on a tiny model: what it learns, what it refuses, that it resumes."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pocketbert.compress.config import (
    BilstmConfig,
    DistillConfig,
    ObjectivesConfig,
    PruneConfig,
    SoftTargetsConfig,
    StudentConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.distill import distill
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    load_model,
    load_tokenizer,
)
from pocketbert.compress.prune import prune
from pocketbert.compress.teacher_outputs import load_teacher_outputs


def test_student_learns(student):
    assert student[1]["validation_accuracy"] > 0.9


def test_a_bilstm_learns_from_the_same_outputs_and_cannot_be_pruned(
    teacher, outputs, tiny_data, tmp_path, training
):
    soft_targets = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=1.0))
    config = DistillConfig(
        student=StudentConfig(bilstm=BilstmConfig(embedding_size=16, hidden_size=16)),
        objectives=soft_targets,
        training=training,
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.9
    reloaded = load_model(tmp_path / "model")
    assert summary["parameters"] == reloaded.num_parameters()
    pruning = PruneConfig(heads=0.5, objectives=soft_targets, training=training)
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


def test_all_objectives_together(teacher, outputs, tiny_data, tmp_path, training, everything):
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=everything, training=training
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.9


def test_a_schedule_is_followed(teacher, outputs, tiny_data, tmp_path, training):
    """A weight that stayed at its first point, 0, would teach a fresh student nothing."""
    objectives = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=(0.0, 1.0)))
    config = DistillConfig(
        student=StudentConfig(init="fresh", layers=2), objectives=objectives, training=training
    )
    summary = distill(
        config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_accuracy"] > 0.8


def test_divergence_stops_and_names_the_objective(
    teacher, outputs, tiny_data, tmp_path, training, everything
):
    """One broken number in what the teacher said, met in the second epoch at the latest."""
    import shutil

    shutil.copytree(outputs, tmp_path / "broken")
    values = np.load(tmp_path / "broken/train/value_3.npy", mmap_mode="r+")
    values[7] = np.inf
    values.flush()
    config = DistillConfig(
        student=StudentConfig(layers=2), objectives=everything, training=training
    )
    message = r"the loss of relations became nan at step \d+, expected a finite one; lower the"
    with pytest.raises(ModelError, match=message):
        distill(
            config=config, seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0],
            teacher_outputs=tmp_path / "broken", out=tmp_path / "out",
        )  # fmt: skip


def test_different_tokenizers_cannot_share_token_states(
    teacher, outputs, tiny_data, tiny_checkpoint, tmp_path, training, objectives
):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(tiny_checkpoint, other)

    tokenizer = json.loads((other / "tokenizer.json").read_text())
    del tokenizer["model"]["vocab"]["film"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = DistillConfig(
        student=StudentConfig(init=str(other), layers=2), objectives=objectives, training=training
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


def test_killed_training_ends_with_the_same_weights(teacher, outputs, tiny_data, whole_and_killed):
    """Scheduled weights included; what the data loader, optimizer and dropout drew as well."""
    whole, killed, at_kill = whole_and_killed(DISTILL_SCRIPT, teacher[0], outputs, tiny_data)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()
    before = at_kill["student.classifier.weight"]
    after = load_file(killed / weights)["classifier.weight"]
    assert not torch.equal(before, after), "the best weights are older than the kill: shows nothing"

"""A tiny teacher, its outputs and a tiny student, which the tests of several stages share."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

from pocketbert.compress.config import (
    AttentionConfig,
    DistillConfig,
    EmbeddingsConfig,
    HiddenConfig,
    LabelsConfig,
    LogitsConfig,
    ObjectivesConfig,
    PatientConfig,
    RelationsConfig,
    SoftTargetsConfig,
    StudentConfig,
    TeacherConfig,
    TrainingConfig,
    UnlabelledConfig,
    outputs_wanted,
)
from pocketbert.compress.distill import distill
from pocketbert.compress.general_texts import gather_texts
from pocketbert.compress.teacher import train_teacher
from pocketbert.compress.teacher_outputs import compute_teacher_outputs

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


@pytest.fixture(scope="session")
def training():
    return TRAINING


@pytest.fixture(scope="session")
def objectives():
    return OBJECTIVES


@pytest.fixture(scope="session")
def everything():
    return EVERYTHING


@pytest.fixture(scope="session")
def wanted():
    return WANTED


@pytest.fixture(scope="session")
def masked_lm(tiny_checkpoint, tmp_path_factory):
    """The tiny checkpoint with random weights and a masked-language-model head."""
    folder = tmp_path_factory.mktemp("masked-lm") / "model"
    shutil.copytree(tiny_checkpoint, folder)
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(tiny_checkpoint, initializer_range=0.5)
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def plain_file(vocabulary, tiny_data, tmp_path_factory):
    """Random words, and texts of the task, some of which it holds out."""
    words = [word for word in vocabulary if len(word) > 3 and word.isalpha()]
    draw = random.Random(9)
    lines = [" ".join(draw.choices(words, k=draw.randrange(2, 14))) for _ in range(450)]
    reviews = (tiny_data / "reviews.jsonl").read_text().splitlines()[:50]
    path = tmp_path_factory.mktemp("plain") / "plain.txt"
    path.write_text("\n".join([*lines, *(json.loads(review)["text"] for review in reviews)]))
    return path


@pytest.fixture(scope="session")
def plain_texts(plain_file, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-texts")
    table = UnlabelledConfig(source=str(plain_file), format="text")
    gather_texts(texts=(table,), validation=0.2, data=tiny_data, out=out)
    return out


@pytest.fixture(scope="session")
def teacher(tiny_checkpoint, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher")
    config = TeacherConfig(model=str(tiny_checkpoint), training=TRAINING)
    summary = train_teacher(config=config, seed=0, data=tiny_data, out=out)
    return out, summary


@pytest.fixture(scope="session")
def outputs(teacher, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("outputs")
    compute_teacher_outputs(
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=WANTED, out=out
    )
    return out


@pytest.fixture(scope="session")
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


@pytest.fixture
def whole_and_killed(tmp_path):
    """Runs a stage twice in processes of their own, the second time killed and resumed."""

    def run(script, *arguments, checkpoints=("checkpoints",)):
        """Return the two stage folders and the weights in the checkpoint of the last kill.

        It is killed once in each of the folders that hold checkpoints, after one is whole.
        """
        program = tmp_path / "stage.py"
        program.write_text(textwrap.dedent(script))
        whole, killed = folders = [tmp_path / "whole", tmp_path / "killed"]
        commands = []
        for folder in folders:
            folder.mkdir()
            commands.append([sys.executable, *map(str, (program, *arguments, folder))])
        subprocess.run(commands[0], check=True, capture_output=True)
        for name in checkpoints:
            at_kill = _kill_after_a_checkpoint(commands[1], killed / name)
        subprocess.run(commands[1], check=True, capture_output=True)
        return whole, killed, at_kill

    return run


def _kill_after_a_checkpoint(command, folder):
    quiet = subprocess.DEVNULL
    process, at_kill = subprocess.Popen(command, stdout=quiet, stderr=quiet), None
    while process.poll() is None:
        for state in folder.glob("checkpoint-*/trainer_state.json"):
            # It comes last; while it is still empty, the next try would start from nothing.
            if at_kill is None and state.read_text().rstrip().endswith("}"):
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                at_kill = load_file(state.parent / "model.safetensors")
        time.sleep(0.02)
    assert process.returncode == -signal.SIGKILL, "the training ended before it could be killed"
    return at_kill

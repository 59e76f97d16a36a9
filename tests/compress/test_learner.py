import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification, TrainerState

from pocketbert.compress.config import (
    HiddenConfig,
    LabelsConfig,
    ObjectivesConfig,
    SoftTargetsConfig,
)
from pocketbert.compress.learner import FollowSchedule, StudentWithObjectives, weight_at
from pocketbert.compress.teacher_outputs import TeacherOutputs


@pytest.fixture
def student():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    return BertForSequenceClassification(config).eval()


LOGITS = np.zeros((1, 2), np.float32)
OUTPUTS = TeacherOutputs(LOGITS, LOGITS, layers=4, heads=2)
BATCH = {
    "input_ids": torch.tensor([[2, 5, 3]]),
    "attention_mask": torch.ones(1, 3, dtype=torch.int64),
    "labels": torch.tensor([1]),
    "teacher_logits": torch.tensor([[0.5, -1.0]]),
}


def losses(logits):
    soft = functional.kl_div(
        logits.log_softmax(-1), BATCH["teacher_logits"].softmax(-1), reduction="batchmean"
    )
    return soft, functional.cross_entropy(logits, BATCH["labels"])


def test_loss_is_the_weighted_sum_of_the_objectives(student):
    config = ObjectivesConfig(
        soft_targets=SoftTargetsConfig(weight=0.7, temperature=1.0), labels=LabelsConfig(weight=0.3)
    )
    model = StudentWithObjectives(student, config, OUTPUTS)
    found = model(**BATCH)
    soft, hard = losses(found["logits"])
    torch.testing.assert_close(found["loss"], 0.7 * soft + 0.3 * hard)
    torch.testing.assert_close(found["terms"]["labels"], 0.3 * hard)


def test_a_penalty_that_follows_the_training_is_one_more_term(student):
    class Penalty(torch.nn.Module):
        def forward(self, progress):
            return torch.tensor(8.0 * progress)

    config = ObjectivesConfig(labels=LabelsConfig(weight=0.3))
    model = StudentWithObjectives(student, config, OUTPUTS, penalty=Penalty())
    model.progress = 0.25
    found = model(**BATCH)
    torch.testing.assert_close(found["loss"], 0.3 * losses(found["logits"])[1] + 2.0)


def test_outside_of_training_the_loss_is_that_of_the_labels(student):
    config = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=0.7))
    found = StudentWithObjectives(student, config, OUTPUTS).eval()(**BATCH)
    assert found.keys() == {"loss", "logits"}
    torch.testing.assert_close(found["loss"], losses(found["logits"])[1])


def test_without_labels_the_loss_is_the_objectives_outside_of_training_too(student):
    config = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=0.7, temperature=1.0))
    batch = BATCH | {"labels": torch.tensor([-100])}
    found = StudentWithObjectives(student, config, OUTPUTS, labelled=False).eval()(**batch)
    torch.testing.assert_close(found["loss"], 0.7 * losses(found["logits"])[0])


@pytest.mark.parametrize(
    ("weight", "progress", "expected"),
    [
        (0.4, 0.9, 0.4),
        ((0.0, 1.0), 0.0, 0.0),
        ((0.0, 1.0), 0.25, 0.25),
        ((1.0, 0.0), 1.0, 0.0),
        ((0.0, 2.0, 2.0, 2.0), 1 / 6, 1.0),
        ((0.0, 2.0, 2.0, 2.0), 0.5, 2.0),
    ],
)
def test_a_weight_lies_on_straight_lines_between_its_points(weight, progress, expected):
    assert weight_at(weight, progress) == pytest.approx(expected)


def test_weights_follow_the_trainers_step(student):
    config = ObjectivesConfig(
        soft_targets=SoftTargetsConfig(weight=(0.0, 1.0), temperature=1.0),
        labels=LabelsConfig(weight=(1.0, 0.0)),
    )
    model = StudentWithObjectives(student, config, OUTPUTS)
    follow = FollowSchedule(model)
    state = TrainerState(global_step=3, max_steps=12)
    follow.on_step_begin(None, state, None)
    found = model(**BATCH)
    soft, hard = losses(found["logits"])
    torch.testing.assert_close(found["loss"], 0.25 * soft + 0.75 * hard)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0.0, "weight is 0, expected a number above 0"),
        ((1.0,), r"weight is \[1.0\], expected one number, or two or more from 0 on"),
        ((), r"weight is \[\], expected one number"),
        ((0.0, 0.0), "not all 0"),
        ((1.0, -1.0), r"weight is \[1.0, -1.0\]"),
    ],
)
def test_weights_that_teach_nothing_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        HiddenConfig(weight=weight)

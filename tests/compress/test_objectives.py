import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.config import (
    HiddenConfig,
    LabelsConfig,
    ObjectivesConfig,
    SoftTargetsConfig,
)
from pocketbert.compress.errors import ModelError
from pocketbert.compress.objectives import (
    OBJECTIVES,
    HiddenStates,
    SoftTargets,
    StudentOutput,
    StudentWithObjectives,
)
from pocketbert.compress.teacher_outputs import RaggedRows, TeacherOutputs


@pytest.fixture
def student():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    return BertForSequenceClassification(config).eval()


def outputs_with(hidden_size: int, layers: int = 2, labels: int = 2) -> TeacherOutputs:
    rows = np.zeros((3, layers, hidden_size), np.float16)
    ragged = RaggedRows(rows, np.array([0, 1, 3]))
    return TeacherOutputs(np.zeros((2, labels), np.float32), ragged, hidden_size)


def test_every_objective_of_the_recipe_is_in_the_table():
    assert set(OBJECTIVES) == set(ObjectivesConfig.__dataclass_fields__)


def test_soft_targets_are_the_kl_divergence_of_softened_probabilities(student):
    objective = SoftTargets(SoftTargetsConfig(weight=1, temperature=3.0), student, outputs_with(16))
    logits, teacher = torch.randn(5, 2), torch.randn(5, 2)
    p, q = (teacher / 3).softmax(-1), (logits / 3).softmax(-1)
    expected = 9 * (p * (p.log() - q.log())).sum(-1).mean()
    found = objective(StudentOutput(logits=logits), {"teacher_logits": teacher})
    torch.testing.assert_close(found, expected)


def test_hidden_states_ignore_padding_and_vanish_for_the_teacher_itself(student):
    objective = HiddenStates(HiddenConfig(weight=1), student, outputs_with(16))
    states = tuple(torch.randn(2, 4, 16) for _ in range(3))
    output = StudentOutput(logits=torch.zeros(2, 2), hidden_states=states)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    wanted = torch.stack(states[1:], dim=2)
    same = {"attention_mask": mask, "teacher_hidden": wanted}
    assert objective(output, same).item() == pytest.approx(0, abs=1e-9)
    wanted_elsewhere = wanted.clone()
    wanted_elsewhere[1, 2:] += 5  # only padding differs
    assert objective(output, same | {"teacher_hidden": wanted_elsewhere}).item() < 1e-9
    wanted_elsewhere[0, 0] += 1  # one of six real positions is off by one in every dimension
    assert objective(output, same | {"teacher_hidden": wanted_elsewhere}).item() == pytest.approx(
        1 / 6, rel=1e-4
    )


def test_projection_bridges_different_widths(student):
    objective = HiddenStates(HiddenConfig(weight=1, positions="first"), student, outputs_with(24))
    states = tuple(torch.randn(2, 4, 16) for _ in range(3))
    loss = objective(
        StudentOutput(logits=torch.zeros(2, 2), hidden_states=states),
        {"attention_mask": torch.ones(2, 4), "teacher_hidden": torch.randn(2, 1, 2, 24)},
    )
    loss.backward()
    assert objective.projections[0].weight.grad.abs().sum() > 0


def test_loss_is_the_weighted_sum_of_the_objectives(student):
    config = ObjectivesConfig(
        soft_targets=SoftTargetsConfig(weight=0.7, temperature=1.0), labels=LabelsConfig(weight=0.3)
    )
    model = StudentWithObjectives(student, config, outputs_with(16))
    ids, labels, teacher = torch.tensor([[2, 5, 3]]), torch.tensor([1]), torch.tensor([[0.5, -1.0]])
    found = model(ids, torch.ones_like(ids), labels, teacher_logits=teacher)
    soft = functional.kl_div(
        found["logits"].log_softmax(-1), teacher.softmax(-1), reduction="batchmean"
    )
    hard = functional.cross_entropy(found["logits"], labels)
    torch.testing.assert_close(found["loss"], 0.7 * soft + 0.3 * hard)


def test_misfits_are_refused_before_training(student):
    with pytest.raises(ModelError, match="teacher gives 3 labels, expected the student's 2"):
        SoftTargets(SoftTargetsConfig(weight=1), student, outputs_with(16, labels=3))
    with pytest.raises(ModelError, match="hidden states of 4 teacher layers were kept"):
        HiddenStates(HiddenConfig(weight=1), student, outputs_with(16, layers=4))
    with pytest.raises(ModelError, match="hidden states were not kept"):
        HiddenStates(
            HiddenConfig(weight=1), student, TeacherOutputs(np.zeros((2, 2), np.float32), None, 0)
        )

"""Each objective against a formula of its own, written with loops and without masks."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.config import (
    AttentionConfig,
    EmbeddingsConfig,
    HiddenConfig,
    LabelsConfig,
    LogitsConfig,
    ObjectivesConfig,
    PatientConfig,
    RelationsConfig,
    SoftTargetsConfig,
)
from pocketbert.compress.errors import ModelError
from pocketbert.compress.objectives import OBJECTIVES
from pocketbert.compress.states import ModelOutput, run_with_states
from pocketbert.compress.surgery import bert_layers, keep_heads
from pocketbert.compress.teacher_outputs import RaggedRows, TeacherOutputs

LENGTHS = (5, 3)  # two texts; the second is padded


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


def outputs_with(width=24, *, layers=4, heads=2, labels=2, kept=None, bias=None) -> TeacherOutputs:
    """Random states of a teacher for texts of LENGTHS."""
    draw = np.random.default_rng(1)
    names = [f"{kind}_{n}" for kind in ("query", "key", "value") for n in range(layers)]
    names += [f"hidden_{n}" for n in range(-1, layers)]
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    states = {
        name: RaggedRows(draw.normal(size=(sum(LENGTHS), width)).astype(np.float16), offsets)
        for name in names
        if kept is None or name in kept
    }
    logits = draw.normal(size=(2, labels)).astype(np.float32)
    return TeacherOutputs(logits, logits, layers, heads, states, bias)


def build(config: ObjectivesConfig, student, outputs):
    [(name, part)] = config.chosen.items()
    return OBJECTIVES[name](part, student, outputs)


def compared(objective, student, outputs):
    """Run a batch; return what the objective says and each text's states without padding."""
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])
    mask = torch.tensor([[1] * length + [0] * (5 - length) for length in LENGTHS])
    read = {"input_ids": ids, "attention_mask": mask}
    output = run_with_states(student, read, objective.student_states)
    batch = {"attention_mask": mask, "labels": torch.tensor([0, 1])}
    batch["teacher_logits"] = torch.from_numpy(outputs.logits)
    for name in objective.teacher_states:
        blocks = [outputs.states[name][text] for text in range(2)]
        batch[f"teacher_{name}"] = torch.nn.utils.rnn.pad_sequence(
            blocks,
            batch_first=True,
            padding_value=1e3,  # padding that counted would show
        )
    texts = [
        (
            {name: states[text, :length] for name, states in output.states.items()},
            {name: outputs.states[name][text] for name in objective.teacher_states},
        )
        for text, length in enumerate(LENGTHS)
    ]
    return objective(output, batch), texts


def test_every_objective_of_the_recipe_is_in_the_table():
    assert list(OBJECTIVES) == list(ObjectivesConfig.__dataclass_fields__)


def test_soft_targets_are_the_kl_divergence_of_softened_probabilities(student):
    config = ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=1, temperature=3.0))
    objective = build(config, student, outputs_with())
    logits, teacher = torch.randn(5, 2), torch.randn(5, 2)
    p, q = (teacher / 3).softmax(-1), (logits / 3).softmax(-1)
    expected = 9 * (p * (p.log() - q.log())).sum(-1).mean()
    found = objective(ModelOutput(logits), {"teacher_logits": teacher})
    torch.testing.assert_close(found, expected)


def test_logits_are_compared_by_their_squared_error(student):
    objective = build(ObjectivesConfig(logits=LogitsConfig(weight=1)), student, outputs_with())
    found = objective(
        ModelOutput(torch.tensor([[1.0, 2.0]])), {"teacher_logits": torch.tensor([[0.0, 5.0]])}
    )
    assert found.item() == pytest.approx((1 + 9) / 2)


def test_labels_of_minus_100_are_ignored(student):
    objective = build(ObjectivesConfig(labels=LabelsConfig(weight=1)), student, outputs_with())
    logits = torch.randn(3, 2, requires_grad=True)
    found = objective(ModelOutput(logits), {"labels": torch.tensor([1, -100, 0])})
    expected = -(logits.log_softmax(-1)[0, 1] + logits.log_softmax(-1)[2, 0]) / 2
    torch.testing.assert_close(found, expected)
    nothing = objective(ModelOutput(logits), {"labels": torch.tensor([-100, -100, -100])})
    nothing.backward()
    assert nothing.item() == 0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("layers", "pairs"),
    [("uniform", [(0, 1), (1, 3)]), ("last", [(1, 3)]), ((2, 0), [(0, 2), (1, 0)])],
)
@pytest.mark.parametrize("positions", ["tokens", "first"])
def test_hidden_states(student, layers, pairs, positions):
    config = HiddenConfig(weight=1, layers=layers, positions=positions)
    outputs = outputs_with()
    objective = build(ObjectivesConfig(hidden=config), student, outputs)
    found, texts = compared(objective, student, outputs)
    errors = []
    for (mine, theirs), projection in zip(pairs, objective.projections, strict=True):
        differences = [
            projection(states[f"hidden_{mine}"]) - wanted[f"hidden_{theirs}"]
            for states, wanted in texts
        ]
        rows = [d if positions == "tokens" else d[:1] for d in differences]
        errors.append(torch.cat(rows).square().mean())
    torch.testing.assert_close(found, sum(errors) / len(errors))
    found.backward()
    assert all(p.weight.grad.abs().sum() > 0 for p in objective.projections)


def test_a_student_of_the_teachers_width_starts_in_the_teachers_space(student):
    objective = build(ObjectivesConfig(hidden=HiddenConfig(weight=1)), student, outputs_with(16))
    states = torch.randn(1, 3, 16)
    found = objective(
        ModelOutput(torch.zeros(1, 2), {"hidden_0": states, "hidden_1": states}),
        {
            "attention_mask": torch.ones(1, 3),
            "teacher_hidden_1": states,
            "teacher_hidden_3": states,
        },
    )
    assert found.item() == pytest.approx(0, abs=1e-9)


def test_embeddings(student):
    outputs = outputs_with()
    config = ObjectivesConfig(embeddings=EmbeddingsConfig(weight=1))
    objective = build(config, student, outputs)
    found, texts = compared(objective, student, outputs)
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    mine = student.bert.embeddings(ids)[0]
    torch.testing.assert_close(texts[0][0]["hidden_-1"], mine)
    errors = [
        (objective.projections[0](states["hidden_-1"]) - wanted["hidden_-1"]).square()
        for states, wanted in texts
    ]
    torch.testing.assert_close(found, torch.cat(errors).mean())


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize(("layers", "theirs"), [("uniform", 1), ((2,), 2)])
def test_patient_compares_directions_below_the_last_layer(student, layers, theirs, width):
    outputs = outputs_with(width)
    config = ObjectivesConfig(patient=PatientConfig(weight=1, layers=layers))
    objective = build(config, student, outputs)
    found, texts = compared(objective, student, outputs)
    assert objective.student_states == ("hidden_0",)
    distances = []
    for states, wanted in texts:
        mine, other = objective.projections[0](states["hidden_0"][0]), wanted[f"hidden_{theirs}"][0]
        # two unit vectors are 2 - 2 cos apart
        distances.append(2 - 2 * functional.cosine_similarity(mine, other, dim=0))
    torch.testing.assert_close(found, sum(distances) / 2)
    assert (len(list(objective.parameters())) == 0) == (width == 16)


def heads_of(states, heads):
    return list(states.split(states.shape[-1] // heads, dim=-1))


def kl_of_rows(wanted: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    p, q = wanted.softmax(-1), found.softmax(-1)
    return (p * (p / q).log()).sum(-1)


@pytest.mark.parametrize("on", ["scores", "probabilities"])
@pytest.mark.parametrize("biased", [False, True])
def test_attention_maps(student, on, biased):
    bias = torch.randn(2, 8, 8) if biased else None
    outputs = outputs_with(bias=bias)
    config = ObjectivesConfig(attention=AttentionConfig(weight=1, on=on))
    objective = build(config, student, outputs)
    found, texts = compared(objective, student, outputs)
    layers = []
    for mine, theirs in [(0, 1), (1, 3)]:
        rows = []
        for states, wanted in texts:
            for head in range(2):
                q, k = (heads_of(states[f"{kind}_{mine}"], 2)[head] for kind in ("query", "key"))
                tq, tk = (
                    heads_of(wanted[f"{kind}_{theirs}"], 2)[head] for kind in ("query", "key")
                )
                score, target = q @ k.T / math.sqrt(8), tq @ tk.T / math.sqrt(12)
                if bias is not None:
                    target = target + bias[head, : len(q), : len(q)]
                if on == "scores":
                    rows.append((score - target).square().flatten())
                else:
                    rows.append(kl_of_rows(target, score))
        layers.append(torch.cat(rows).mean())
    torch.testing.assert_close(found, (layers[0] + layers[1]) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layer", "theirs"), [("last", 3), (1, 1)])
def test_relations_bridge_heads_and_widths(student, layer, theirs):
    outputs = outputs_with(24, heads=3)
    config = ObjectivesConfig(relations=RelationsConfig(weight=1, heads=4, layer=layer))
    objective = build(config, student, outputs)
    found, texts = compared(objective, student, outputs)
    expected = 0
    for kind in ("query", "key", "value"):
        rows = []
        for states, wanted in texts:
            for mine, other in zip(
                heads_of(states[f"{kind}_1"], 4), heads_of(wanted[f"{kind}_{theirs}"], 4),
                strict=True,
            ):  # fmt: skip
                rows.append(kl_of_rows(other @ other.T / math.sqrt(6), mine @ mine.T / 2))
        expected = expected + torch.cat(rows).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


MISFITS = {
    "labels": (
        ObjectivesConfig(soft_targets=SoftTargetsConfig(weight=1)),
        {"labels": 3},
        "teacher gives 3 labels, expected the student's 2",
    ),
    "labels of logits": (
        ObjectivesConfig(logits=LogitsConfig(weight=1)),
        {"labels": 3},
        "teacher gives 3 labels, expected the student's 2",
    ),
    "deeper than the teacher": (
        ObjectivesConfig(hidden=HiddenConfig(weight=1)),
        {"layers": 1},
        "2 layers are asked of a model that has 1",
    ),
    "map of another length": (
        ObjectivesConfig(hidden=HiddenConfig(weight=1, layers=(0, 1, 2))),
        {},
        r"\[0, 1, 2\] names 3 teacher layers, expected one for each of 2 student layers",
    ),
    "layer the teacher lacks": (
        ObjectivesConfig(attention=AttentionConfig(weight=1, layers=(0, 4))),
        {},
        r"\[0, 4\] names teacher layer 4, expected layers 0 to 3",
    ),
    "states not kept": (
        ObjectivesConfig(hidden=HiddenConfig(weight=1)),
        {"kept": ["hidden_3"]},
        "state hidden_1 was not kept, expected it among hidden_3",
    ),
    "queries not kept": (
        ObjectivesConfig(attention=AttentionConfig(weight=1)),
        {"kept": []},
        "state query_1 was not kept, expected it among none",
    ),
    "heads": (
        ObjectivesConfig(attention=AttentionConfig(weight=1)),
        {"heads": 3},
        "the student has 2 attention heads in layer 0, expected the teacher's 3",
    ),
    "relation heads of the student": (
        ObjectivesConfig(relations=RelationsConfig(weight=1, heads=3)),
        {},
        "the student's attention is 16 wide, expected a multiple of .* 3",
    ),
    "relation heads of the teacher": (
        ObjectivesConfig(relations=RelationsConfig(weight=1, heads=16)),
        {},
        "the teacher's attention is 24 wide, expected a multiple of .* 16",
    ),
    "layer of relations": (
        ObjectivesConfig(relations=RelationsConfig(weight=1, heads=4, layer=7)),
        {},
        "state query_7 was not kept",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_misfits_are_refused_before_training(student, misfit):
    config, different, message = MISFITS[misfit]
    with pytest.raises(ModelError, match=message):
        build(config, student, outputs_with(**different))


def test_a_pruned_student_has_too_few_heads_for_attention(student):
    keep_heads(bert_layers(student)[1], torch.tensor([0]))
    config = ObjectivesConfig(attention=AttentionConfig(weight=1))
    with pytest.raises(ModelError, match="the student has 1 attention heads in layer 1"):
        build(config, student, outputs_with())


def test_patience_needs_a_layer_below_the_last():
    config = BertConfig(
        vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=4,
    )  # fmt: skip
    student = BertForSequenceClassification(config)
    with pytest.raises(ModelError, match="the student has 1 layer, expected two or more"):
        build(ObjectivesConfig(patient=PatientConfig(weight=1)), student, outputs_with())

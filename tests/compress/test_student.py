import pytest
import torch

from pocketbert.compress.config import StudentConfig
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_checkpoint,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.student import build_student
from pocketbert.compress.surgery import bert_layers

LABELS = ("bad", "good")


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(3)
    save_model(
        load_checkpoint(tiny_checkpoint, LABELS),
        load_tokenizer(tiny_checkpoint),
        ModelDescription(LABELS, 32),
        folder,
    )
    return folder


def test_layers_are_the_teachers_own(teacher):
    from pocketbert.compress.folder import load_model

    student, _ = build_student(StudentConfig(layers=2), teacher, LABELS)
    original = bert_layers(load_model(teacher))
    for number, layer in zip((1, 3), bert_layers(student), strict=True):
        for name, weight in layer.state_dict().items():
            assert torch.equal(weight, original[number].state_dict()[name]), name


def test_chosen_layers(teacher):
    student, _ = build_student(StudentConfig(layers=(0, 1, 3)), teacher, LABELS)
    assert student.config.num_hidden_layers == 3


def test_width_is_reduced_and_the_student_runs(teacher):
    config = StudentConfig(layers=2, hidden_size=16, intermediate_size=24)
    student, _ = build_student(config, teacher, LABELS)
    assert student.config.hidden_size == 16
    assert student.config.num_attention_heads == 2
    assert bert_layers(student)[0].intermediate.dense.weight.shape == (24, 16)
    assert student(input_ids=torch.tensor([[2, 7, 3]])).logits.shape == (1, 2)


def test_narrowing_keeps_the_strongest_dimensions(teacher):
    from pocketbert.compress.folder import load_model
    from pocketbert.compress.student import narrow_hidden

    model = load_model(teacher)
    strong = torch.tensor([3, 9, 21, 30])
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.data.fill_(0.1)
            module.weight.data[strong] = 2.0
    table = model.bert.embeddings.word_embeddings.weight.detach().clone()
    narrow_hidden(model, 8)
    kept = model.bert.embeddings.word_embeddings.weight
    for column in strong:
        assert any(torch.equal(table[:, column], kept[:, i]) for i in range(8))


def test_fresh_weights_take_the_shape_alone(teacher):
    student, _ = build_student(StudentConfig(init="fresh", layers=2), teacher, LABELS)
    copied, _ = build_student(StudentConfig(layers=2), teacher, LABELS)
    assert student.num_parameters() == copied.num_parameters()
    assert not torch.equal(
        bert_layers(student)[0].attention.self.query.weight,
        bert_layers(copied)[0].attention.self.query.weight,
    )


def test_a_checkpoint_can_be_the_start(teacher, tiny_checkpoint):
    student, folder = build_student(
        StudentConfig(init=str(tiny_checkpoint), layers=1), teacher, LABELS
    )
    assert folder == tiny_checkpoint
    assert student.config.id2label == {0: "bad", 1: "good"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (StudentConfig(layers=9), "student.layers: 9 layers are asked of a model that has 4"),
        (StudentConfig(layers=(1, 7)), "names layer 7, expected layers 0 to 3"),
        (StudentConfig(layers=2, hidden_size=20), "hidden_size is 20, expected a multiple of"),
        (
            StudentConfig(layers=2, hidden_size=32),
            "expected a multiple of the head size 8 below 32",
        ),
        (StudentConfig(layers=2, intermediate_size=64), "expected a number below 64"),
    ],
)
def test_impossible_shapes_are_refused(teacher, config, message):
    with pytest.raises(ModelError, match=message):
        build_student(config, teacher, LABELS)

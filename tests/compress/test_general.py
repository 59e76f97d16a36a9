"""Learning on plain text: which texts, what is kept, that it resumes, and what it is good for."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, BertConfig, BertModel, MPNetConfig, MPNetModel, TrainerCallback

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import (
    GeneralConfig,
    HiddenConfig,
    ObjectivesConfig,
    RelationsConfig,
    StudentConfig,
    UnlabelledConfig,
    outputs_wanted,
)
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import DataError, ModelError
from pocketbert.compress.folder import load_tokenizer
from pocketbert.compress.general import distill_general, keep_untuned_teacher
from pocketbert.compress.general_texts import gather_texts
from pocketbert.compress.learner import StudentWithObjectives
from pocketbert.compress.split import normalise
from pocketbert.compress.student import build_student
from pocketbert.compress.teacher_outputs import compute_teacher_outputs, load_teacher_outputs
from pocketbert.compress.training import fit, loss_of

RELATIONS = ObjectivesConfig(relations=RelationsConfig(weight=1.0, heads=2))
HIDDEN = ObjectivesConfig(hidden=HiddenConfig(weight=1.0))
STUDENT = StudentConfig(layers=2)


def general_config(training, objectives, student=STUDENT):
    table = UnlabelledConfig(source="not read by this stage")
    return GeneralConfig(texts=(table,), student=student, objectives=objectives, training=training)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint, tmp_path_factory):
    """A checkpoint whose layers do something: larger random weights than a new model's."""
    folder = shutil.copytree(tiny_checkpoint, tmp_path_factory.mktemp("checkpoint") / "model")
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(tiny_checkpoint, initializer_range=0.3)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts(plain_texts):
    return plain_texts


@pytest.fixture(scope="module")
def untuned(texts, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-teacher")
    keep_untuned_teacher(model=str(checkpoint), seed=0, texts=texts, out=out, cut=True)
    return out


@pytest.fixture(scope="module")
def states(texts, untuned, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-outputs")
    wanted = replace(outputs_wanted([RELATIONS, HIDDEN], 2), of_validation=True)
    compute_teacher_outputs(data=texts, examples=texts, teacher=untuned, wanted=wanted, out=out)
    return out


@pytest.fixture(scope="module")
def learned(texts, untuned, states, training, tmp_path_factory):
    """Students that learned relations and hidden states, with what their stages said."""
    found = {}
    for name, objectives in (("relations", RELATIONS), ("hidden", HIDDEN)):
        out = tmp_path_factory.mktemp(name)
        summary = distill_general(
            config=general_config(training, objectives), seed=0, texts=texts, teacher=untuned,
            teacher_outputs=states, out=out,
        )  # fmt: skip
        found[name] = out, summary
    return found


def test_texts_are_those_of_the_tables_without_labels_duplicates_and_held_out(
    texts, plain_file, tiny_data
):
    train, validation = load_split(texts, "train"), load_split(texts, "validation")
    assert {*train.labels, *validation.labels} == {-100}
    assert 0.12 < len(validation) / (len(train) + len(validation)) < 0.28
    found = [normalise(text) for text in (*train.texts, *validation.texts)]
    held_out = {
        normalise(text)
        for split in ("validation", "test")
        for text in load_split(tiny_data, split).texts
    }
    given = {normalise(line) for line in plain_file.read_text().splitlines()}
    assert set(found) == given - held_out
    assert len(found) == len(set(found))
    assert load_description(texts).max_length == load_description(tiny_data).max_length


def test_texts_that_the_task_holds_out_are_counted_and_a_share_is_still_held_out(
    tiny_data, tmp_path
):
    """The task's own texts: its held-out ones are gone, and yet some are left for choosing."""
    table = UnlabelledConfig(source=str(tiny_data / "reviews.jsonl"))
    summary = gather_texts(texts=(table,), validation=0.1, data=tiny_data, out=tmp_path)
    held_out = len(load_split(tiny_data, "validation")) + len(load_split(tiny_data, "test"))
    assert summary["dropped_held_out"] == held_out
    assert summary["validation"] > 0.05 * summary["train"]


@pytest.mark.parametrize(
    ("content", "left"), [("", "train"), ("  \n\n", "train"), ("one text\n", "validation")]
)
def test_too_few_texts_are_refused(content, left, tiny_data, tmp_path):
    (tmp_path / "few.txt").write_text(content)
    table = UnlabelledConfig(source=str(tmp_path / "few.txt"), format="text")
    with pytest.raises(DataError, match=rf"general\.texts leave no text for {left} .*; add texts"):
        gather_texts(texts=(table,), validation=0.05, data=tiny_data, out=tmp_path)
    assert not (tmp_path / "data.json").exists()


def test_the_teacher_is_the_checkpoint_as_it_is(untuned, checkpoint):
    kept = load_file(untuned / "model/model.safetensors")
    for name, weight in load_file(checkpoint / "model.safetensors").items():
        assert torch.equal(kept[f"bert.{name}"], weight)


def test_a_teacher_that_no_student_can_be_cut_from_is_refused_before_it_reads(
    texts, checkpoint, tmp_path
):
    mpnet = shutil.copytree(checkpoint, tmp_path / "mpnet")
    config = MPNetConfig(
        vocab_size=70, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40,
    )  # fmt: skip
    MPNetModel(config).save_pretrained(mpnet)
    with pytest.raises(ModelError, match="of type 'mpnet', expected 'bert'; distil into a BERT"):
        keep_untuned_teacher(model=str(mpnet), seed=0, texts=texts, out=tmp_path / "a", cut=True)
    keep_untuned_teacher(model=str(mpnet), seed=0, texts=texts, out=tmp_path / "b", cut=False)


def relations_by_hand(student, texts):
    """KL of query, key and value relations on the held-out texts, one text at a time.

    Returns the mean over texts in the batches of an evaluation, with both models from disk.
    """
    tokenizer = load_tokenizer(student)
    models = [AutoModel.from_pretrained(folder).eval() for folder in (student, texts[1])]
    per_text = []
    for text in load_split(texts[0], "validation").texts:
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
        found = []
        for model in models:
            hidden = model(**batch, output_hidden_states=True).hidden_states[-2][0]
            attention = model.encoder.layer[-1].attention.self
            found.append([getattr(attention, n)(hidden) for n in ("query", "key", "value")])
        total = 0.0
        for mine, theirs in zip(*found, strict=True):
            for head in (slice(0, 16), slice(16, 32)):
                p, q = (
                    (x[:, head] @ x[:, head].T / 4).softmax(-1).double() for x in (theirs, mine)
                )
                total += (p * (p / q).log()).sum().item() / 2
        per_text.append((total, len(batch["input_ids"][0])))
    loss = 0.0
    for start in range(0, len(per_text), 64):
        rows = per_text[start : start + 64]
        loss += len(rows) * sum(t for t, _ in rows) / sum(n for _, n in rows)
    return loss / len(per_text)


@torch.no_grad()
def test_the_loss_said_is_that_of_the_kept_encoder_on_held_out_texts(
    learned, texts, checkpoint, tmp_path
):
    out, summary = learned["relations"]
    after = relations_by_hand(out / "model", (texts, checkpoint))
    assert summary["validation_loss"] == pytest.approx(after, rel=2e-2)
    cut = AutoModel.from_pretrained(checkpoint)
    cut.encoder.layer = torch.nn.ModuleList([cut.encoder.layer[n] for n in (1, 3)])
    cut.config.num_hidden_layers = 2
    cut.save_pretrained(tmp_path / "cut")
    load_tokenizer(checkpoint).save_pretrained(tmp_path / "cut")
    before = relations_by_hand(tmp_path / "cut", (texts, checkpoint))
    assert summary["validation_loss_before"] == pytest.approx(before, rel=2e-2)
    assert after < 0.5 * before


def test_the_checkpoint_is_an_ordinary_one(learned, checkpoint):
    out, summary = learned["hidden"]
    folder = out / "model"
    model, said = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    assert model.config.num_hidden_layers == 2
    assert model.num_parameters() == summary["parameters"]
    assert sorted(path.name for path in out.iterdir()) == ["model"]
    assert not (folder / "pocketbert.json").exists()
    assert "id2label" not in json.loads((folder / "config.json").read_text())
    text = "a lovely film"
    assert load_tokenizer(folder)(text) == load_tokenizer(checkpoint)(text)


def test_a_student_starts_nearer_to_the_teacher_than_from_its_cut_layers(
    learned, texts, untuned, states
):
    """What a distillation sees in its first step, on texts that neither learned from."""
    losses = {}
    for name, config, general in (
        ("cut", STUDENT, None),
        ("general", replace(STUDENT, init="general"), learned["hidden"][0] / "model"),
    ):
        outputs = load_teacher_outputs(states)
        student, folder = build_student(config, untuned / "model", ("bad", "good"), general)
        model = StudentWithObjectives(student, HIDDEN, outputs, labelled=False)
        tokenizer = load_tokenizer(folder)
        examples = tokenize(load_split(texts, "validation"), tokenizer, 32)
        model.attach(examples, outputs.validation_states)
        losses[name] = loss_of(model, examples, tokenizer)
    assert losses["cut"] == pytest.approx(learned["hidden"][1]["validation_loss_before"])
    assert losses["general"] < 0.5 * losses["cut"]


def test_weights_of_the_lowest_loss_are_kept(texts, untuned, states, training, tmp_path):
    """From the first evaluation on the weights are spoilt, so that later losses are higher."""
    outputs = load_teacher_outputs(states)
    student, folder = build_student(STUDENT, untuned / "model", ("bad", "good"))
    model = StudentWithObjectives(student, HIDDEN, outputs, labelled=False)
    tokenizer = load_tokenizer(folder)
    splits = [
        tokenize(load_split(texts, split), tokenizer, 32) for split in ("train", "validation")
    ]
    model.attach(splits[0], outputs.states)
    model.attach(splits[1], outputs.validation_states)
    losses = []

    class Spoil(TrainerCallback):
        def on_evaluate(self, args, state, control, **kwargs):
            losses.append(kwargs["metrics"]["eval_loss"])

        def on_save(self, args, state, control, **kwargs):
            student.bert.embeddings.word_embeddings.weight.data.zero_()

    result = fit(
        model, *splits, tokenizer, replace(training, learning_rate=1e-5), seed=0, folder=tmp_path,
        title="Spoil", callbacks=[Spoil()],
    )  # fmt: skip
    assert len(losses) > 2
    assert losses[0] < min(losses[1:])
    assert result.best_loss == losses[0]
    assert result.best_score is None
    assert loss_of(model, splits[1], tokenizer) == pytest.approx(losses[0], rel=1e-4)


def test_a_training_that_did_not_help_is_said(texts, untuned, states, training, tmp_path, caplog):
    """The student is the whole teacher, from which it can only move away."""
    config = general_config(training, RELATIONS, StudentConfig(layers=4))
    summary = distill_general(
        config=replace(config, training=replace(training, epochs=0.5)), seed=0, texts=texts,
        teacher=untuned, teacher_outputs=states, out=tmp_path,
    )  # fmt: skip
    assert summary["validation_loss"] > summary["validation_loss_before"]
    assert "the student is no better for it; change general.training.learning_rate" in caplog.text


def test_a_student_that_cuts_texts_otherwise_is_refused(
    texts, untuned, states, training, checkpoint, tmp_path
):
    other = shutil.copytree(checkpoint, tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    del tokenizer["model"]["vocab"]["film"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = general_config(training, HIDDEN, StudentConfig(init=str(other), layers=2))
    with pytest.raises(ModelError, match="cut the texts into different tokens"):
        distill_general(
            config=config, seed=0, texts=texts, teacher=untuned, teacher_outputs=states,
            out=tmp_path / "out",
        )  # fmt: skip


GENERAL_SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import *
    from pocketbert.compress.general import distill_general
    texts, teacher, outputs, out = map(Path, sys.argv[1:])
    distill_general(
        config=GeneralConfig(
            texts=(UnlabelledConfig(source="plain.txt"),),
            student=StudentConfig(init="fresh", layers=2),
            objectives=ObjectivesConfig(
                hidden=HiddenConfig(weight=1.0), relations=RelationsConfig(weight=0.1, heads=2)
            ),
            training=TrainingConfig(
                epochs=3, learning_rate=3e-3, batch_size=16, precision="float32"
            ),
        ),
        seed=0, texts=texts, teacher=teacher, teacher_outputs=outputs, out=out,
    )
"""


def test_killed_training_ends_with_the_same_bytes(texts, untuned, states, whole_and_killed):
    whole, killed, at_kill = whole_and_killed(GENERAL_SCRIPT, texts, untuned, states)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()
    name = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(at_kill[f"student.bert.{name}"], load_file(killed / weights)[name])

"""Learning what the teacher reads in place of hidden tokens: which, how well, and what is kept."""

import random
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, BertConfig

from pocketbert.compress.batches import Collate, tokenize
from pocketbert.compress.config import (
    GeneralConfig,
    HiddenConfig,
    MaskedTokensConfig,
    MaskedWordsConfig,
    ObjectivesConfig,
    StudentConfig,
    UnlabelledConfig,
    outputs_wanted,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_tokenizer
from pocketbert.compress.general import distill_general, keep_untuned_teacher
from pocketbert.compress.learner import StudentWithObjectives
from pocketbert.compress.masked_language import TeacherHead, load_masked_lm
from pocketbert.compress.masked_words import masked_words
from pocketbert.compress.masking import Masking, with_hidden_tokens
from pocketbert.compress.states import ModelOutput
from pocketbert.compress.student import build_student
from pocketbert.compress.teacher_outputs import compute_teacher_outputs, load_teacher_outputs

MASKED = ObjectivesConfig(
    masked_tokens=MaskedTokensConfig(weight=2.0, fraction=0.3, temperature=1.5, labels=0.4),
    hidden=HiddenConfig(weight=0.1, positions="first"),
)
ALONE = replace(MASKED, hidden=None)
STUDENT = StudentConfig(layers=2)


def config(training, objectives, student=STUDENT):
    table = UnlabelledConfig(source="not read by this stage")
    return GeneralConfig(texts=(table,), student=student, objectives=objectives, training=training)


@pytest.fixture(scope="module")
def untuned(plain_texts, masked_lm, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-teacher")
    keep_untuned_teacher(
        model=str(masked_lm), seed=0, texts=plain_texts, out=out, cut=True, head=True
    )
    return out


@pytest.fixture(scope="module")
def states(plain_texts, untuned, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-outputs")
    wanted = replace(outputs_wanted([MASKED], 2), of_validation=True)
    compute_teacher_outputs(
        data=plain_texts, examples=plain_texts, teacher=untuned, wanted=wanted, out=out
    )
    return out


@pytest.fixture(scope="module")
def learned(plain_texts, untuned, states, training, tmp_path_factory):
    out = tmp_path_factory.mktemp("general-distill")
    summary = distill_general(
        config=config(training, ALONE), seed=0, texts=plain_texts, teacher=untuned,
        teacher_outputs=states, out=out,
    )  # fmt: skip
    return out, summary


@pytest.fixture
def to_learn(plain_texts, untuned, states):
    """Build a student with the objective, and a batch of held-out texts."""

    def build(objectives=ALONE, student=STUDENT):
        torch.manual_seed(0)
        model, folder = build_student(student, untuned / "model", ("bad", "good"))
        head = TeacherHead(load_masked_lm(untuned / "masked_lm", "teacher.model", ""))
        outputs = replace(load_teacher_outputs(states), head=head)
        learner = StudentWithObjectives(model, objectives, outputs, labelled=False)
        tokenizer = load_tokenizer(folder)
        examples = tokenize(load_split(plain_texts, "validation"), tokenizer, 32)
        examples = with_hidden_tokens(examples, Masking.of(tokenizer, 0.3))
        learner.attach(examples, outputs.validation_states)
        rows = range(0, len(examples), 4)
        return learner.eval(), Collate(tokenizer.pad_token_id)([examples[row] for row in rows])

    return build


def test_of_the_hidden_tokens_most_are_masked_some_others_and_some_as_they_were(tiny_checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    masking = Masking.of(tokenizer, 0.15)
    draw, kinds = random.Random(0), Counter()
    for _ in range(500):
        ids = [2, *draw.choices(masking.ordinary, k=38), tokenizer.unk_token_id, 3]
        hidden = masking(ids)
        positions = hidden["masked_positions"].tolist()
        assert len(set(positions)) == 6  # 0.15 of 38
        assert max(positions) < 39
        assert min(positions) > 0
        assert hidden["masked_ids"].tolist() == [ids[n] for n in positions]
        read = hidden["input_ids"]
        assert [n for n in range(41) if read[n] != ids[n] and n not in positions] == []
        for n in positions:
            kinds["masked" if read[n] == 4 else "as it was" if read[n] == ids[n] else "other"] += 1
            assert read[n] not in masking.special - {4}
    shares = {kind: count / kinds.total() for kind, count in kinds.items()}
    assert shares == pytest.approx({"masked": 0.8, "other": 0.1, "as it was": 0.1}, abs=0.03)


def test_a_text_is_always_hidden_alike_and_with_another_key_otherwise(tiny_checkpoint):
    masking = Masking.of(AutoTokenizer.from_pretrained(tiny_checkpoint), 0.3)
    ids = [2, *range(10, 60), 3]
    first, again, other = masking(ids), masking(list(ids)), masking(ids, "1")
    assert first["input_ids"] == again["input_ids"] != other["input_ids"]
    assert masking([2, 12, 3])["masked_positions"].tolist() == [1]  # one at least
    assert masking([2, 1, 3])["masked_positions"].tolist() == []  # an unknown word


def by_hand(student, teacher, folder, texts, fraction=0.3, temperature=1.5, labels=0.4):
    """The objective on held-out texts, text by text, with both models whole and from disk."""
    tokenizer = load_tokenizer(folder)
    masking = Masking.of(tokenizer, fraction)
    per_text = []
    for text in load_split(texts, "validation").texts:
        ids = tokenizer(text, truncation=True, max_length=32)["input_ids"]
        hidden = masking(ids)
        read, at = torch.tensor([hidden["input_ids"]]), hidden["masked_positions"]
        mine, theirs = (m(input_ids=read).logits[0, at].double() for m in (student, teacher))
        p, q = ((x / temperature).softmax(-1) for x in (theirs, mine))
        total = temperature**2 * (p * (p / q).log()).sum()
        truth = torch.tensor(ids)[at]
        total += labels * -mine.log_softmax(-1)[torch.arange(len(at)), truth].sum()
        per_text.append((total.item(), len(at)))
    loss = 0.0
    for start in range(0, len(per_text), 64):  # a batch of the evaluation
        rows = per_text[start : start + 64]
        loss += len(rows) * sum(t for t, _ in rows) / sum(n for _, n in rows)
    return loss / len(per_text)


@torch.no_grad()
def test_the_loss_said_is_that_of_the_checkpoint_from_disk(learned, plain_texts, masked_lm):
    out, summary = learned
    student, said = AutoModelForMaskedLM.from_pretrained(out / "model", output_loading_info=True)
    assert not said["missing_keys"]
    teacher = AutoModelForMaskedLM.from_pretrained(masked_lm).eval()
    after = 2.0 * by_hand(student.eval(), teacher, masked_lm, plain_texts)
    assert summary["validation_loss"] == pytest.approx(after, rel=1e-2)
    assert summary["validation_loss"] < 0.8 * summary["validation_loss_before"]
    assert summary["parameters"] == sum(p.numel() for p in student.parameters()) + 32 * 33  # pooler


def test_the_loss_is_the_divergence_at_hidden_positions_alone(to_learn, masked_lm):
    """Recomputed from the whole teacher; whatever the student says elsewhere changes nothing."""
    learner, batch = to_learn()
    objective = learner.objectives["masked_tokens"]
    teacher = AutoModelForMaskedLM.from_pretrained(masked_lm).eval()
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.no_grad():
        states = learner.student.bert(**asked).last_hidden_state
        found = objective(ModelOutput(torch.zeros(1), {"hidden_1": states}), batch)
        logits = teacher(**asked).logits
        total, count = 0.0, 0
        for row, positions in enumerate(batch["masked_positions"]):
            for column, position in enumerate(positions[positions > 0]):
                mine = objective.head(states[row, position][None])[0].double()
                p = (logits[row, position].double() / 1.5).softmax(-1)
                q = (mine / 1.5).softmax(-1)
                total += 1.5**2 * float((p * (p / q).log()).sum())
                total -= 0.4 * float(mine.log_softmax(-1)[batch["masked_ids"][row, column]])
                count += 1
        assert float(found) == pytest.approx(total / count, rel=5e-3)

        hidden = torch.zeros_like(batch["input_ids"]).scatter(1, batch["masked_positions"], 1)
        hidden[:, 0] = 0
        elsewhere = torch.where(hidden[..., None] == 1, states, torch.randn_like(states))
        at_them = torch.where(hidden[..., None] == 0, states, torch.randn_like(states))
        same = objective(ModelOutput(torch.zeros(1), {"hidden_1": elsewhere}), batch)
        other = objective(ModelOutput(torch.zeros(1), {"hidden_1": at_them}), batch)
        assert float(same) == float(found)
        assert abs(float(other) - float(found)) > 0.1


def test_a_batch_without_hidden_tokens_costs_nothing(to_learn):
    learner, batch = to_learn()
    nowhere = {name: batch[name][:, :0] for name in ("masked_positions", "masked_ids")}
    batch |= nowhere | {"teacher_masked": batch["teacher_masked"][:, :0]}
    assert learner(**batch)["loss"] == 0


def test_the_head_starts_as_the_teachers_where_widths_agree(to_learn, masked_lm):
    theirs = load_file(masked_lm / "model.safetensors")
    prefix = "cls.predictions."
    for student, same in (
        (STUDENT, {"bias", "transform.dense.weight", "transform.LayerNorm.weight"}),
        (replace(STUDENT, hidden_size=16), {"bias"}),
    ):
        learner, _ = to_learn(student=student)
        own = learner.objectives["masked_tokens"].head.model.state_dict()
        for name in ("bias", "transform.dense.weight", "transform.LayerNorm.weight"):
            mine, wanted = own[prefix + name], theirs[prefix + name]
            assert (mine.shape == wanted.shape and torch.equal(mine, wanted)) == (name in same)
        words = learner.student.bert.embeddings.word_embeddings.weight
        assert (
            learner.objectives["masked_tokens"].head.model.cls.predictions.decoder.weight is words
        )


def test_the_checkpoint_gives_the_logits_that_were_learned(to_learn, tmp_path):
    learner, batch = to_learn()
    head = learner.objectives["masked_tokens"].head
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.no_grad():
        before = head(learner.student.bert(**asked).last_hidden_state.flatten(0, 1))
        head.with_encoder(learner.student.base_model).save_pretrained(tmp_path)
        after = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()(**asked).logits
    assert torch.equal(before, after.flatten(0, 1))


def test_the_teachers_head_is_neither_trained_nor_kept_for_resuming(to_learn):
    learner, batch = to_learn()
    learner.train()(**batch)["loss"].backward()
    teacher = learner.objectives["masked_tokens"].teacher_head
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert not teacher.training
    assert not [name for name in learner.state_dict() if "teacher" in name]
    assert learner.student.bert.encoder.layer[0].output.dense.weight.grad.abs().sum() > 0
    assert learner.student.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_later_recipes_start_from_the_checkpoint(learned, untuned, masked_lm):
    """Its encoder is where a distillation starts, its head proposes words."""
    folder = learned[0] / "model"
    encoder = AutoModel.from_pretrained(folder)
    student, _ = build_student(
        replace(STUDENT, init="general"), untuned / "model", ("bad", "good"), folder
    )
    for name, weight in encoder.state_dict().items():
        assert torch.equal(student.bert.state_dict()[name], weight)
    words = MaskedWordsConfig(model=str(folder), variants=1, fraction=0.9)
    text = ["the", "film", "is", "dull", "and", "of", "a", "plot"]
    (new,) = masked_words([text], words, random.Random(0))
    assert len(new) == len(text)
    assert new != text


def test_states_are_those_of_the_text_with_hidden_tokens(states, plain_texts, masked_lm):
    """And with states of other objectives beside them, at fewer positions."""
    outputs = load_teacher_outputs(states)
    assert sorted(outputs.states) == ["hidden_1", "hidden_3", "masked"]
    tokenizer = load_tokenizer(masked_lm)
    model = AutoModel.from_pretrained(masked_lm).eval()
    masking = Masking.of(tokenizer, 0.3)
    for split, kept in (("train", outputs.states), ("validation", outputs.validation_states)):
        for row, text in list(enumerate(load_split(plain_texts, split).texts))[:40]:
            hidden = masking(tokenizer(text, truncation=True, max_length=32)["input_ids"])
            with torch.no_grad():
                found = model(torch.tensor([hidden["input_ids"]])).last_hidden_state[0]
            wanted = found[hidden["masked_positions"]]
            assert torch.allclose(kept["masked"][row], wanted, atol=5e-3)
            assert torch.allclose(kept["hidden_3"][row], found[:1], atol=5e-3)


def test_a_teacher_without_a_head_is_refused(tiny_checkpoint, plain_texts, tmp_path):
    with pytest.raises(
        ModelError,
        match=r"has no weights cls\..*, expected .* in teacher\.model; name one, make one",
    ):
        keep_untuned_teacher(
            model=str(tiny_checkpoint), seed=0, texts=plain_texts, out=tmp_path, cut=True, head=True
        )
    assert list(tmp_path.iterdir()) == []


def test_another_vocabulary_is_refused(
    plain_texts, untuned, states, training, tiny_checkpoint, tmp_path
):
    """Two words that changed places: every text is cut alike, and means another thing."""
    other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
    tokenizer = (other / "tokenizer.json").read_text()
    swapped = tokenizer.replace('"film"', '"f-"').replace('"story"', '"film"')
    (other / "tokenizer.json").write_text(swapped.replace('"f-"', '"story"'))
    student = StudentConfig(init=str(other), layers=2)
    with pytest.raises(ModelError, match=r"vocabulary has \d+ tokens, and 2 of the teacher's"):
        distill_general(
            config=config(training, MASKED, student), seed=0, texts=plain_texts, teacher=untuned,
            teacher_outputs=states, out=tmp_path / "out",
        )  # fmt: skip


def test_a_word_table_of_other_height_is_refused(
    plain_texts, untuned, states, training, tiny_checkpoint, tmp_path
):
    other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
    tall = BertConfig.from_pretrained(other, vocab_size=200)
    AutoModel.from_config(tall).save_pretrained(other)
    student = StudentConfig(init=str(other), layers=2)
    with pytest.raises(ModelError, match="word table has 200 rows, expected the"):
        distill_general(
            config=config(training, MASKED, student), seed=0, texts=plain_texts, teacher=untuned,
            teacher_outputs=states, out=tmp_path / "out",
        )  # fmt: skip


SCRIPT = """
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
                masked_tokens=MaskedTokensConfig(weight=1.0, fraction=0.3),
                hidden=HiddenConfig(weight=0.1, positions="first"),
            ),
            training=TrainingConfig(
                epochs=3, learning_rate=3e-3, batch_size=16, precision="float32"
            ),
        ),
        seed=0, texts=texts, teacher=teacher, teacher_outputs=outputs, out=out,
    )
"""


def test_killed_training_ends_with_the_same_bytes(plain_texts, untuned, states, whole_and_killed):
    whole, killed, at_kill = whole_and_killed(SCRIPT, plain_texts, untuned, states)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()
    kept = load_file(killed / weights)
    for mine, theirs in (
        ("student.bert.", "bert."),
        ("objectives.masked_tokens.head.model.", ""),
    ):
        name = "encoder.layer.0.output.dense.weight" if theirs else "cls.predictions.bias"
        assert not torch.equal(at_kill[mine + name], kept[theirs + name])


def test_logits_of_all_positions_are_never_made(to_learn, monkeypatch):
    """The largest product with the vocabulary has as many rows as there are hidden tokens."""
    learner, batch = to_learn()
    rows = []
    for head in ("head", "teacher_head"):
        decoder = getattr(learner.objectives["masked_tokens"], head).model.cls.predictions.decoder
        decoder.register_forward_hook(lambda m, i, out: rows.append(out.numel() // out.shape[-1]))
    learner(**batch)
    assert rows == [int((batch["masked_positions"] > 0).sum())] * 2

"""Masked language modelling as a task: data, what is learned, how it is measured, resuming."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, TrainerControl, TrainerState, TrainingArguments

from pocketbert.compress.batches import Collate, tokenize
from pocketbert.compress.config import (
    ColumnsConfig,
    DataConfig,
    MaskedWordsConfig,
    TaskConfig,
    TeacherConfig,
)
from pocketbert.compress.data import load_description, load_split, prepare_data
from pocketbert.compress.errors import DataError, ModelError
from pocketbert.compress.folder import load_checkpoint, load_tokenizer
from pocketbert.compress.general import keep_untuned_teacher
from pocketbert.compress.masked_language import (
    MaskedLanguageLearner,
    load_masked_lm,
    load_to_be_trained,
)
from pocketbert.compress.masked_words import masked_words
from pocketbert.compress.masking import HiddenAnew, Masking, with_hidden_tokens
from pocketbert.compress.pseudo_perplexity import pseudo_perplexity
from pocketbert.compress.split import normalise
from pocketbert.compress.tasks.masked_language_model import HideOthers
from pocketbert.compress.teacher import train_teacher

WORDS = "embeddings.word_embeddings.weight"
TASK = TaskConfig(kind="masked-language-model", max_length=32)


@pytest.fixture(scope="session")
def plain_data(tmp_path_factory):
    """Sentences with an order in them: a word and its neighbours decide each other."""
    folder = tmp_path_factory.mktemp("plain-data")
    draw = random.Random(0)
    pairs = [("film", "dull"), ("story", "bright"), ("plot", "moving"), ("actors", "messy")]
    lines = [
        f"the {noun} is {' and '.join(draw.choices([adjective, 'very'], k=3))}"
        for noun, adjective in draw.choices(pairs, k=300)
    ]
    extra = [" ".join(draw.choices(["a", "lovely", "tender", "film", "of"], k=9)) for _ in lines]
    (folder / "plain.txt").write_text("\n".join([*lines, *extra]) + "\n")
    source = DataConfig(
        train=str(folder / "plain.txt"), validation=0.15, test=0.2, format="text"
    )  # fmt: skip
    prepare_data(config=source, task=TASK, out=folder)
    return folder


@pytest.fixture(scope="session")
def learned(plain_data, tiny_checkpoint, training, tmp_path_factory):
    out = tmp_path_factory.mktemp("masked-language-model")
    config = TeacherConfig(model=str(tiny_checkpoint), training=training)
    return out, train_teacher(config=config, seed=0, data=plain_data, out=out)


def test_plain_texts_are_split_without_labels_and_without_leaks(plain_data):
    description = load_description(plain_data)
    assert (description.kind, description.labels) == ("masked-language-model", ())
    splits = {name: load_split(plain_data, name) for name in ("train", "validation", "test")}
    assert {label for split in splits.values() for label in split.labels} == {-100}
    seen = [{normalise(text) for text in split.texts} for split in splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    lines = (plain_data / "plain.txt").read_text().splitlines()
    assert set.union(*seen) == {normalise(line) for line in lines}
    assert {name: len(split) for name, split in splits.items()} == description.sizes


def test_a_table_needs_no_column_of_labels(tmp_path):
    rows = "".join(f"{number},a film of plot {number}\n" for number in range(60))
    (tmp_path / "t.csv").write_text(f"id,words\n{rows}")
    (tmp_path / "no-header.tsv").write_text(rows.replace(",", "\t"))
    for columns, name in (({"text": "words"}, "t.csv"), ({"text": 1}, "no-header.tsv")):
        source = DataConfig(
            train=str(tmp_path / name), validation=0.2, test=0.2, columns=ColumnsConfig(**columns)
        )
        prepare_data(config=source, task=TASK, out=tmp_path)
        assert (
            "a film of plot 7"
            in (tmp_path / "train.jsonl").read_text()
            + (tmp_path / "validation.jsonl").read_text()
            + (tmp_path / "test.jsonl").read_text()
        )


def test_a_split_without_texts_is_refused(tmp_path):
    (tmp_path / "one.txt").write_text("one film\n")
    source = DataConfig(train=str(tmp_path / "one.txt"), validation=0.1, test=0.1, format="text")
    with pytest.raises(DataError, match="split has no examples, expected some in every split"):
        prepare_data(config=source, task=TASK, out=tmp_path)


def test_it_learns_and_leaves_an_ordinary_checkpoint(learned, tiny_checkpoint):
    out, summary = learned
    assert summary["validation_loss"] < 0.6 * summary["validation_loss_before"]
    low, high = summary["pseudo_perplexity_interval"]
    assert 1 < low < summary["pseudo_perplexity"] < high < 20  # of some 80 tokens
    model, said = AutoModelForMaskedLM.from_pretrained(out / "model", output_loading_info=True)
    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    assert model.num_parameters() == summary["parameters"]
    words = model.get_input_embeddings().weight
    assert model.cls.predictions.decoder.weight is words
    assert not torch.equal(words, load_file(tiny_checkpoint / "model.safetensors")[WORDS])
    assert [path.name for path in out.iterdir()] == ["model"]
    assert not (out / "model/pocketbert.json").exists()


def test_the_loss_is_that_of_the_library_and_nothing_is_asked_elsewhere(masked_lm, plain_data):
    tokenizer = load_tokenizer(masked_lm)
    learner = MaskedLanguageLearner(load_masked_lm(masked_lm, "teacher.model", ""))
    whole = AutoModelForMaskedLM.from_pretrained(masked_lm).eval()
    examples = tokenize(load_split(plain_data, "test"), tokenizer, 32)
    examples = with_hidden_tokens(examples, Masking.of(tokenizer, 0.4))
    batch = Collate(tokenizer.pad_token_id)([examples[row] for row in range(40)])
    labels = torch.full_like(batch["input_ids"], -100)
    for row, positions in enumerate(batch["masked_positions"]):
        for column, position in enumerate(positions):
            if position > 0:
                labels[row, position] = batch["masked_ids"][row, column]
    with torch.no_grad():
        found = learner(**batch)
        asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        wanted = whole(**asked, labels=labels)
    assert found["loss"].item() == pytest.approx(wanted.loss.item(), rel=1e-5)
    assert len(found["logits"]) == int((labels != -100).sum()) < labels.numel() / 2


@torch.no_grad()
def test_pseudo_perplexity_is_that_of_tokens_hidden_one_at_a_time(learned, plain_data):
    """By hand, text by text, with the checkpoint from disk."""
    out, summary = learned
    tokenizer = load_tokenizer(out / "model")
    model = AutoModelForMaskedLM.from_pretrained(out / "model").eval()
    masking = Masking.of(tokenizer, 0.1)
    total, tokens, asked = 0.0, 0, 0
    for text in load_split(plain_data, "test").texts:
        ids = tokenizer(text, truncation=True, max_length=32)["input_ids"]
        surprises = []
        for position in masking(ids)["masked_positions"].tolist():
            hidden = [*ids[:position], tokenizer.mask_token_id, *ids[position + 1 :]]
            logits = model(input_ids=torch.tensor([hidden])).logits[0, position].double()
            surprises.append(-logits.log_softmax(-1)[ids[position]].item())
        own = sum(token not in masking.special for token in ids)
        total += np.mean(surprises) * own
        tokens += own
        asked += len(surprises)
    assert summary["pseudo_perplexity"] == pytest.approx(np.exp(total / tokens), rel=1e-4)
    assert summary["tokens_asked"] == asked


def test_the_interval_narrows_with_more_texts(learned, plain_data):
    """By a factor of about three for nine times as many."""
    out, _ = learned
    tokenizer = load_tokenizer(out / "model")
    model = MaskedLanguageLearner(load_masked_lm(out / "model", "teacher.model", ""))
    examples = tokenize(load_split(plain_data, "train"), tokenizer, 32)
    few = replace(examples, input_ids=examples.input_ids[::9], labels=examples.labels[::9])
    widths = []
    for texts in (few, examples):
        low, high = pseudo_perplexity(model, texts, tokenizer)["pseudo_perplexity_interval"]
        widths.append(np.log(high / low))
    assert 2 < widths[0] / widths[1] < 4.5


def test_every_epoch_hides_other_tokens_and_every_try_the_same(tiny_checkpoint, plain_data):
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(plain_data, "train"), tokenizer, 32)
    hidden = HiddenAnew(examples, Masking.of(tokenizer, 0.15))
    callback = HideOthers(hidden)
    arguments = TrainingArguments(output_dir="none", seed=7, use_cpu=True)

    def read(epoch):
        callback.on_epoch_begin(arguments, TrainerState(epoch=epoch), TrainerControl())
        return [hidden[row]["input_ids"] for row in range(50)]

    first, second = read(0.0), read(1.0)
    assert first != second
    assert first == read(0)
    assert second == read(1.5)  # taken up in the middle of the epoch


def test_a_head_that_is_there_is_kept(masked_lm, plain_data, training, tmp_path, caplog):
    slow = replace(training, epochs=1, learning_rate=1e-6)
    config = TeacherConfig(model=str(masked_lm), training=slow)
    with caplog.at_level("INFO"):
        train_teacher(config=config, seed=0, data=plain_data, out=tmp_path)
    assert "head that names words: new" not in caplog.text
    before, after = (load_file(f / "model.safetensors") for f in (masked_lm, tmp_path / "model"))
    for name in ("cls.predictions.transform.dense.weight", "cls.predictions.bias"):
        assert 0 < (before[name] - after[name]).abs().max() < 1e-3


def test_a_new_head_is_said(learned, tiny_checkpoint, caplog):
    with caplog.at_level("INFO"):
        load_to_be_trained(tiny_checkpoint, "teacher.model")
    assert "head that names words: new, over the checkpoint's own word table" in caplog.text


def test_checkpoints_that_cannot_learn_it_are_refused(
    tiny_checkpoint, plain_data, training, tmp_path
):
    unmasked = shutil.copytree(tiny_checkpoint, tmp_path / "unmasked")
    settings = json.loads((unmasked / "tokenizer_config.json").read_text())
    settings["mask_token"] = None
    (unmasked / "tokenizer_config.json").write_text(json.dumps(settings))
    broken = shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    del weights[WORDS]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    for folder, message in (
        (unmasked, "has a tokenizer without a mask token, expected one that can hide tokens"),
        (broken, "expected a whole encoder in teacher.model; name another"),
    ):
        config = TeacherConfig(model=str(folder), training=training)
        with pytest.raises(ModelError, match=message):
            train_teacher(config=config, seed=0, data=plain_data, out=tmp_path / "out")


def test_other_recipes_can_name_the_checkpoint(learned, plain_texts, tmp_path):
    """As what proposes words, as a teacher's encoder, and as the teacher of `general`."""
    folder = learned[0] / "model"
    words = MaskedWordsConfig(model=str(folder), variants=20, fraction=0.9, top=1)
    text = ["the", "film", "is", "dull", "and", "dull", "and", "dull"]
    new = list(masked_words([text], words, random.Random(0)))
    assert any("bright" in words or "very" in words for words in new)
    encoder = load_checkpoint(folder, ("bad", "good")).bert.embeddings.word_embeddings.weight
    assert torch.equal(encoder, load_file(folder / "model.safetensors")[f"bert.{WORDS}"])
    keep_untuned_teacher(
        model=str(folder), seed=0, texts=plain_texts, out=tmp_path, cut=True, head=True
    )
    kept = load_masked_lm(tmp_path / "masked_lm", "teacher.model", "").cls.predictions.bias
    assert torch.equal(kept, load_file(folder / "model.safetensors")["cls.predictions.bias"])


SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import TeacherConfig, TrainingConfig
    from pocketbert.compress.teacher import train_teacher
    model, data, out = sys.argv[1:]
    training = TrainingConfig(epochs=2, learning_rate=3e-3, batch_size=16, precision="float32")
    train_teacher(
        config=TeacherConfig(model=model, training=training), seed=0, data=Path(data), out=Path(out)
    )
"""


def test_killed_training_ends_with_the_same_bytes(tiny_checkpoint, plain_data, whole_and_killed):
    whole, killed, at_kill = whole_and_killed(SCRIPT, tiny_checkpoint, plain_data)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()
    name = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(at_kill[f"encoder.{name}"], load_file(killed / weights)[f"bert.{name}"])

"""Texts beside the training split: where they come from and what may not be among them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pocketbert.compress.augment import AUGMENTERS, augment
from pocketbert.compress.config import (
    AugmentConfig,
    MaskedConfig,
    MaskedWordsConfig,
    MixedConfig,
    SpansConfig,
    TransferConfig,
    UnlabelledConfig,
    WordsConfig,
)
from pocketbert.compress.data import load_split, read_texts
from pocketbert.compress.errors import DataError
from pocketbert.compress.folder import load_tokenizer
from pocketbert.compress.labelling import UNLABELLED
from pocketbert.compress.split import normalise
from pocketbert.compress.transfer import build_transfer_set

TEXTS = ["the film is dull and slow", "the plot is bright and slow", "a story"]


@pytest.mark.parametrize("name", AUGMENTERS)
def test_the_seed_alone_decides(name, configs):
    config = AugmentConfig(**{name: configs[name]})
    assert list(augment(TEXTS, config, seed=1)) == list(augment(TEXTS, config, seed=1))
    assert list(augment(TEXTS * 9, config, seed=1)) != list(augment(TEXTS * 9, config, seed=2))


@pytest.fixture
def configs(masked_lm):
    return {
        "spans": SpansConfig(variants=3, shortest=2),
        "mixed": MixedConfig(variants=3),
        "words": WordsConfig(variants=3, fraction=0.9),
        "masked": MaskedConfig(variants=3, fraction=0.5),
        "masked_words": MaskedWordsConfig(variants=3, model=str(masked_lm)),
    }


@pytest.mark.parametrize("name", AUGMENTERS)
def test_each_text_gets_its_variants(name, configs):
    new = list(augment(TEXTS, AugmentConfig(**{name: configs[name]}), seed=0))
    assert len(new) == 3 * len(TEXTS)
    assert all(new)


def test_a_span_is_cut_from_its_text():
    config = AugmentConfig(spans=SpansConfig(variants=20, shortest=3))
    for number, span in enumerate(augment(TEXTS, config, seed=0)):
        source = TEXTS[number // 20]
        assert f" {span} " in f" {source} "
        assert len(span.split()) >= min(3, len(source.split()))


def test_a_mixed_text_begins_as_its_own_and_ends_as_another():
    config = AugmentConfig(mixed=MixedConfig(variants=3))
    for number, text in enumerate(augment(TEXTS, config, seed=0)):
        words = text.split()
        assert words[0] == TEXTS[number // 3].split()[0]
        assert words[-1] in {source.split()[-1] for source in TEXTS}


def test_replaced_words_stood_between_the_same_neighbours():
    config = AugmentConfig(words=WordsConfig(variants=40, fraction=0.5))
    new = list(augment(TEXTS, config, seed=0))[:40]
    # `dull` and `bright` both stand between `is` and `and`.
    assert {text.split()[3] for text in new} == {"dull", "bright"}
    assert {text.split()[1] for text in new} == {"film", "plot"}  # both follow `the`
    assert {text.split()[-1] for text in new} == {"slow"}


def test_hidden_words_are_one_token_to_a_tokenizer(tiny_checkpoint):
    config = AugmentConfig(masked=MaskedConfig(variants=200, fraction=0.3))
    new = [text.split() for text in augment(TEXTS, config, seed=0)]
    hidden = 0
    for number, words in enumerate(new):
        for word, before in zip(words, TEXTS[number // 200].split(), strict=True):
            assert word in (before, "[MASK]")
            hidden += word == "[MASK]"
    assert 0.25 < hidden / sum(map(len, new)) < 0.35
    tokenizer = load_tokenizer(tiny_checkpoint)
    assert tokenizer("the [MASK]")["input_ids"][2] == tokenizer.mask_token_id


@pytest.fixture
def unlabelled(tiny_data, tmp_path):
    """Two new texts, one of them twice, beside one of each split."""
    split = {name: load_split(tiny_data, name).texts[0] for name in ("train", "validation", "test")}
    path = tmp_path / "more.txt"
    path.write_text(
        "\n".join([*split.values(), "", "one new text", "One  new TEXT", "another one"])
    )
    return path


def test_further_texts_have_no_label_and_none_is_held_out(tiny_data, unlabelled, tmp_path):
    config = TransferConfig(
        unlabelled=(UnlabelledConfig(source=str(unlabelled), format="text"),),
        augment=AugmentConfig(mixed=MixedConfig(variants=2), spans=SpansConfig(variants=1)),
    )
    counts = build_transfer_set(config=config, seed=0, data=tiny_data, out=tmp_path)
    train, everything = load_split(tiny_data, "train"), load_split(tmp_path, "train")
    assert counts["unlabelled"] == 2
    assert counts["dropped_held_out"] >= 2
    assert counts["held_out_share_proposed"] > 0  # the two that the fixture plants
    assert counts["held_out_share"] == 0
    assert counts["augmented"] > len(train)
    assert everything.texts[: len(train)] == train.texts
    np.testing.assert_array_equal(everything.labels[: len(train)], train.labels)
    assert set(everything.labels[len(train) :]) == {UNLABELLED}
    assert everything.texts[len(train) : len(train) + 2] == ["one new text", "another one"]
    held_out = {
        normalise(text)
        for name in ("validation", "test")
        for text in load_split(tiny_data, name).texts
    }
    normal = [normalise(text) for text in everything.texts]
    assert not held_out & set(normal)
    assert len(normal[len(train) :]) == len(set(normal[len(train) :]))


def test_reviews_cut_into_sentences_of_which_some_are_drawn(tmp_path):
    path = tmp_path / "reviews.json"
    path.write_text(json.dumps([{"t": "First one. Second one.<br />Third."}, {"t": "Fourth!"}]))
    table = UnlabelledConfig(source=str(path), text="t", format="json", sentences=True)
    everything = ["First one.", "Second one.", "Third.", "Fourth!"]
    assert read_texts(table) == everything
    drawn = read_texts(replace(table, max_texts=3))
    assert drawn == [text for text in everything if text in drawn]  # in their order
    assert len(drawn) == 3
    assert set(read_texts(replace(table, max_texts=2))) < set(drawn)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"t": "one"}', "is a JSON dict, expected one list of objects"),
        ('[{"t": "one"},', "is malformed at line 1, character 15"),
        ('[{"t": "one"}, "two"]', "row 2 is a JSON str, expected an object"),
        ('[{"t": "one"}, {"x": 1}]', "row 2 has the columns 'x', expected 't'"),
    ],
)
def test_a_json_file_that_is_no_list_of_texts(content, complaint, tmp_path):
    path = tmp_path / "reviews.json"
    path.write_text(content)
    with pytest.raises(DataError, match=complaint):
        read_texts(UnlabelledConfig(source=str(path), text="t", format="json"))


@pytest.mark.parametrize("kind", ["jsonl", "tsv"])
def test_a_table_needs_no_label_column(kind, tiny_data, tmp_path):
    path = tmp_path / f"more.{kind}"
    path.write_text(json.dumps({"words": "a new one"}) if kind == "jsonl" else "7\ta new one\n")
    table = UnlabelledConfig(source=str(path), text="words" if kind == "jsonl" else 1)
    build_transfer_set(
        config=TransferConfig(unlabelled=(table,)), seed=0, data=tiny_data, out=tmp_path
    )
    assert load_split(tmp_path, "train").texts[-1] == "a new one"


def test_a_missing_column_is_named(tiny_data, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("body,stars\nfine,1\n")
    config = TransferConfig(unlabelled=(UnlabelledConfig(source=str(path)),))
    with pytest.raises(DataError, match="has the columns 'body', 'stars', expected 'text'"):
        build_transfer_set(config=config, seed=0, data=tiny_data, out=tmp_path)
    assert not (tmp_path / "train.jsonl").exists()


def test_the_share_of_held_out_texts_is_said(tiny_data, unlabelled, tmp_path):
    config = TransferConfig(unlabelled=(UnlabelledConfig(source=str(unlabelled), format="text"),))
    counts = build_transfer_set(config=config, seed=0, data=tiny_data, out=tmp_path)
    assert counts["held_out_share_proposed"] == 2 / 6
    assert counts["held_out_share"] == 0

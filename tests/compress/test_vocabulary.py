"""Trimming: what stays, that kept text keeps its tokens and logits, what is refused."""

import json
from collections import Counter

import pytest
import torch
from tokenizers import Tokenizer

from pocketbert.compress.bilstm import BilstmClassifier, BilstmModelConfig
from pocketbert.compress.config import TrimConfig, UnlabelledConfig
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_checkpoint,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.vocabulary import (
    compare,
    tokens_to_keep,
    trim,
    trimmed_tokenizer,
)

LABELS = ("bad", "good")
# Whole words, pieces of a word, an unknown character, nothing.
UNSEEN = ["the film is superb", "filmy plotted", "café ☃ story", ""]


@pytest.fixture(scope="module", params=["bert", "bilstm"])
def student(request, tiny_checkpoint, tmp_path_factory):
    """A trained stage's folder, whose vocabulary has words that no text has."""
    torch.manual_seed(3)
    tokenizer = load_tokenizer(tiny_checkpoint)
    model = load_checkpoint(tiny_checkpoint, LABELS)
    if request.param == "bilstm":
        model = BilstmClassifier(
            BilstmModelConfig(
                vocab_size=model.config.vocab_size, embedding_size=16, hidden_size=12, num_labels=2
            )
        )
    folder = tmp_path_factory.mktemp(request.param)
    save_model(model, tokenizer, ModelDescription(LABELS, 32), folder / "model")
    return folder


@pytest.fixture
def without_superb(tiny_data, tmp_path):
    """A sample in which a few words never stand."""
    lines = (tiny_data / "train.jsonl").read_text().splitlines()
    rare = ("superb", "gripping", "bland")
    (tmp_path / "sample").mkdir()
    kept = [line for line in lines if not any(word in line for word in rare)]
    (tmp_path / "sample/train.jsonl").write_text("\n".join(kept) + "\n")
    return tmp_path / "sample"


def logits(folder, text):
    inputs = load_tokenizer(folder)(text, return_tensors="pt")
    with torch.no_grad():
        return load_model(folder)(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).logits


def test_unused_words_go_and_kept_text_keeps_its_logits(
    student, tiny_data, without_superb, tmp_path
):
    out = tmp_path / "out"
    summary = trim(
        config=TrimConfig(), data=tiny_data, examples=without_superb, student=student, out=out
    )
    before, after = load_tokenizer(student / "model"), load_tokenizer(out / "model")
    gone = set(before.get_vocab()) - set(after.get_vocab())
    assert gone == {"superb", "gripping", "bland"}
    assert summary["tokens_before"] - summary["tokens"] == 3
    assert sorted(after.get_vocab().values()) == list(range(summary["tokens"]))
    model = load_model(out / "model")
    assert model.get_input_embeddings().weight.shape[0] == model.config.vocab_size
    assert model.config.vocab_size == summary["tokens"]
    width = model.get_input_embeddings().weight.shape[1]
    assert summary["parameters_before"] - summary["parameters"] == 3 * width
    assert summary["bytes_saved"] > 4 * 3 * width  # the tokenizer's file shrinks too

    same = other = 0
    for text in [*load_split(tiny_data, "validation").texts[:40], *UNSEEN]:
        if gone & set(before.tokenize(text)):
            other += 1
            assert after.tokenize(text) != before.tokenize(text)
            continue
        same += 1
        assert after.tokenize(text) == before.tokenize(text)
        found, expected = logits(out / "model", text), logits(student / "model", text)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert same
    assert other
    assert 0 < summary["validation_texts_cut_as_before"] < 1


def test_a_removed_word_falls_to_characters_never_to_unknown(student, without_superb, tmp_path):
    contents = json.loads((student / "model/tokenizer.json").read_text())
    full = Tokenizer.from_str(json.dumps(contents))
    texts = load_split(without_superb, "train").texts
    counts = Counter(n for text in texts for n in full.encode(text).ids)
    small = trimmed_tokenizer(contents, tokens_to_keep(contents, counts, min_count=1))
    tokens = Tokenizer.from_str(json.dumps(small)).encode("superb").tokens
    assert tokens == ["[CLS]", "s", "##u", "##p", "##e", "##r", "##b", "[SEP]"]


def test_further_texts_and_the_count_decide_too(student, tiny_data, without_superb, tmp_path):
    (tmp_path / "more.txt").write_text("superb\nsuperb\nbland\n")
    more = (UnlabelledConfig(source=str(tmp_path / "more.txt"), format="text"),)
    for min_count, found in ((1, {"superb", "bland"}), (2, {"superb"})):
        out = tmp_path / str(min_count)
        trim(
            config=TrimConfig(min_count=min_count, texts=more),
            data=tiny_data, examples=without_superb, student=student, out=out,
        )  # fmt: skip
        kept = set(load_tokenizer(out / "model").get_vocab())
        assert {"superb", "bland", "gripping"} & kept == found


def wordpiece(post_processor, padding):
    vocabulary = ["ab", "<s>", "<pad>", "</s>", "[UNK]", "a", "##b", "abc", "b", "##c", "##bc"]
    names = {name: number for number, name in enumerate(vocabulary)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": padding,
        "added_tokens": [
            {
                "id": names[name], "content": name, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True,
            }
            for name in ("<s>", "<pad>", "</s>")
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": post_processor,
        "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": names,
        },
    }  # fmt: skip


def test_special_tokens_are_renumbered_wherever_they_stand():
    padding = {
        "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 2, "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    around = {
        "type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 1],
        "trim_offsets": True, "add_prefix_space": False,
    }  # fmt: skip
    contents = wordpiece(around, padding)
    kept = tokens_to_keep(contents, Counter(), min_count=1)
    # "ab" stays though nothing uses it: position tables count from the padding's number.
    assert kept == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    small = trimmed_tokenizer(contents, kept)
    full, trimmed = (Tokenizer.from_str(json.dumps(c)) for c in (contents, small))
    assert full.encode("abc").tokens == ["<s>", "abc", "</s>"]
    assert trimmed.encode("abc").tokens == ["<s>", "ab", "##c", "</s>"]
    assert trimmed.padding["pad_id"] == trimmed.token_to_id("<pad>") == 2
    assert compare(full, trimmed, kept, ["ab b", "abc"]) == 0.5


def test_a_tokenizer_that_cuts_otherwise_is_found_out():
    contents = wordpiece(None, None)
    kept = [number for number in range(11) if number != 7]
    small = trimmed_tokenizer(contents, kept)
    del small["model"]["vocab"]["ab"]
    tokenizers = (Tokenizer.from_str(json.dumps(c)) for c in (contents, small))
    with pytest.raises(ModelError, match="cuts 'ab' in another way"):
        compare(*tokenizers, kept, ["ab"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "BPE"}}, "of type BPE, expected WordPiece"),
        ({"post_processor": {"type": "ByteLevel"}}, "post_processor is ByteLevel, expected one of"),
    ],
)
def test_other_tokenizers_are_refused(student, tiny_data, tmp_path, change, message):
    (tmp_path / "model").mkdir()
    contents = json.loads((student / "model/tokenizer.json").read_text()) | change
    (tmp_path / "model/tokenizer.json").write_text(json.dumps(contents))
    with pytest.raises(ModelError, match=message):
        trim(
            config=TrimConfig(), data=tiny_data, examples=tiny_data, student=tmp_path,
            out=tmp_path / "out",
        )  # fmt: skip

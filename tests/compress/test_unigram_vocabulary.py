"""Trimming of Unigram: kept text is cut as before, unknown characters and ties included."""

import json
import random
from collections import Counter

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from pocketbert.compress.config import TrimConfig
from pocketbert.compress.data import load_split
from pocketbert.compress.folder import ModelDescription, load_model, load_tokenizer, save_model
from pocketbert.compress.unigram_vocabulary import always_kept
from pocketbert.compress.vocabulary import compare, tokens_to_keep, trim, trimmed_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
LETTERS = "abcdefgh"
UNKNOWN = "xyz"


def random_tokenizer(seed, scores):
    """Many pieces of few letters, so that words can be cut in many ways."""
    rng = random.Random(seed)
    pieces = dict.fromkeys(SPECIAL, 0.0)
    for piece in ["\u2581", *LETTERS]:
        pieces[piece] = scores(rng)
    while len(pieces) < 300:
        piece = "".join(rng.choice(LETTERS + "x") for _ in range(rng.randint(2, 5)))
        pieces[rng.choice(["", "\u2581"]) + piece] = scores(rng)
    pieces["<mask>"] = 0.0
    tokenizer = Tokenizer(models.Unigram(list(pieces.items()), unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )  # fmt: skip
    tokenizer.add_special_tokens([*SPECIAL, "<mask>"])
    return tokenizer


def random_texts(seed, count):
    rng = random.Random(seed)
    letters = LETTERS * 4 + UNKNOWN
    return [
        " ".join("".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(3))
        for _ in range(count)
    ]


def trimmed_by(contents, texts, min_count=1):
    full = Tokenizer.from_str(json.dumps(contents))
    counts = Counter(number for text in texts for number in full.encode(text).ids)
    kept = tokens_to_keep(contents, counts, min_count)
    return full, trimmed_tokenizer(contents, kept), kept


SCORES = {
    "any": lambda rng: rng.uniform(-12, -2),
    "ties": lambda rng: float(rng.choice([-1, -2, -3, -4])),
}


@pytest.mark.parametrize("scores", SCORES)
def test_held_out_text_of_kept_pieces_is_cut_as_before(scores):
    contents = json.loads(random_tokenizer(1, SCORES[scores]).to_str())
    full, small, kept = trimmed_by(contents, random_texts(2, 60))
    assert len(kept) < 0.8 * len(contents["model"]["vocab"])
    trimmed = Tokenizer.from_str(json.dumps(small))
    same = compare(full, trimmed, kept, random_texts(3, 3000))  # raises where one is cut otherwise
    assert 0.05 < same < 1
    vocabulary = contents["model"]["vocab"]
    assert small["model"]["vocab"] == [vocabulary[number] for number in kept]
    assert small["model"]["vocab"][small["model"]["unk_id"]][0] == "<unk>"
    assert trimmed.token_to_id("<mask>") == len(kept) - 1


def test_what_would_change_kept_text_always_stays():
    contents = json.loads(random_tokenizer(1, SCORES["any"]).to_str())
    vocabulary = contents["model"]["vocab"]
    always = {vocabulary[number][0] for number in always_kept(contents["model"])}
    lowest = min(vocabulary, key=lambda entry: entry[1])[0]
    assert always == {"\u2581", *LETTERS, "<unk>", lowest}
    bytes_too = {**contents["model"], "byte_fallback": True}
    bytes_too["vocab"] = [*vocabulary, ["<0x0A>", 0.0]]
    assert len(vocabulary) in always_kept(bytes_too)


def test_without_the_lowest_score_an_unknown_character_changes_kept_text():
    vocabulary = [
        ["<unk>", 0.0], ["b", -15.0], ["c", -15.0], ["y", -15.0],
        ["\u00e9b", -20.0], ["cy", -20.0], ["bcy", -1.0], ["zz", -40.0],
    ]  # fmt: skip
    contents = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False},
    }  # fmt: skip
    text = "\u00e9bcy"
    full, small, kept = trimmed_by(contents, [text, "bcy"])
    assert kept == list(range(8))  # zz too, which stands in no text
    assert compare(full, Tokenizer.from_str(json.dumps(small)), kept, [text]) == 1
    careless = Tokenizer.from_str(json.dumps(trimmed_tokenizer(contents, kept[:-1])))
    assert full.encode(text).tokens == ["\u00e9b", "cy"]
    assert careless.encode(text).tokens == ["\u00e9", "bcy"]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A trained stage's folder with XLM-RoBERTa's kind of model, positions counted from padding."""
    torch.manual_seed(3)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=random_tokenizer(5, SCORES["any"]), bos_token="<s>", eos_token="</s>",
        cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token="<mask>",
    )  # fmt: skip
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("unigram")
    model = XLMRobertaForSequenceClassification(config).eval()
    save_model(model, tokenizer, ModelDescription(("bad", "good"), 32), folder / "model")
    return folder


def test_kept_text_keeps_its_logits(student, tiny_data, tmp_path):
    summary = trim(
        config=TrimConfig(), data=tiny_data, examples=tiny_data, student=student,
        out=tmp_path / "out",
    )  # fmt: skip
    assert summary["tokens"] < summary["tokens_before"]
    assert summary["bytes_saved"] > 0
    before, after = load_tokenizer(student / "model"), load_tokenizer(tmp_path / "out/model")
    models_ = load_model(student / "model"), load_model(tmp_path / "out/model")
    compared = 0
    for text in load_split(tiny_data, "validation").texts[:40]:
        if set(before.convert_ids_to_tokens(before(text).input_ids)) <= set(after.get_vocab()):
            with torch.no_grad():
                found = [
                    model(**tokenizer(text, return_tensors="pt")).logits
                    for model, tokenizer in zip(models_, (before, after), strict=True)
                ]
            assert torch.equal(*found)
            compared += 1
    assert compared

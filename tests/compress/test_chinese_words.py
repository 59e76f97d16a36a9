"""Chinese characters as words, with a tokenizer that knows only spaces."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pocketbert.compress.chinese_words import split_chinese
from pocketbert.compress.folder import load_tokenizer
from pocketbert.compress.word_tags import Span, tags_of, words_of

PIECES = ["<pad>", "<unk>", "▁", "▁北", "北", "京", "北京", "▁北京", "在", "▁BERT", "BERT", "，"]


@pytest.fixture
def checkpoint(tmp_path):
    """A Unigram tokenizer of XLM-RoBERTa's kind; longer pieces are always the better ones."""
    vocabulary = [(piece, -10.0 + len(piece)) for piece in PIECES]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(tmp_path)
    return tmp_path


def encoded(tokenizer, text):
    return tokenizer.backend_tokenizer.encode(text)


def test_a_character_is_a_word_and_other_words_stay(checkpoint):
    text = "北京，在BERT BERT"
    plain = load_tokenizer(checkpoint)
    assert [(word.start, word.end) for word in words_of(encoded(plain, text))] == [(0, 8), (9, 13)]
    tokenizer = load_tokenizer(checkpoint, chinese_words=True)
    found = encoded(tokenizer, text)
    assert found.tokens == ["▁北", "京", "，", "在", "BERT", "▁BERT"]
    assert [text[word.start : word.end] for word in words_of(found)] == [
        "北", "京", "，", "在", "BERT", "BERT",
    ]  # fmt: skip
    assert tags_of(words_of(found), [Span(0, 2, 0)]) == [1, 2, 0, 0, 0, 0]


def test_a_saved_tokenizer_knows_it(checkpoint, tmp_path):
    tokenizer = load_tokenizer(checkpoint, chinese_words=True)
    tokenizer.save_pretrained(tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert encoded(again, "北京在").tokens == ["▁北", "京", "在"]
    written = json.loads((tmp_path / "saved" / "tokenizer.json").read_text())
    split_chinese(again)  # a second time changes nothing
    assert json.loads(again.backend_tokenizer.to_str()) == written


def test_bert_does_it_by_itself(tiny_checkpoint):
    before = load_tokenizer(tiny_checkpoint).backend_tokenizer.to_str()
    after = load_tokenizer(tiny_checkpoint, chinese_words=True).backend_tokenizer.to_str()
    assert after == before

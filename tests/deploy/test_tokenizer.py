import numpy as np
import pytest
import tokenizers

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.tokenizer import Tokenizer


def test_pads_to_the_longest_text_whatever_the_file_says(bert):
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", max_length=16)
    encoded = tokenizer.encode(["the film is superb", "dull"])
    assert encoded["input_ids"].shape == (2, 6)
    np.testing.assert_array_equal(encoded["attention_mask"].sum(axis=1), [6, 3])
    assert encoded["input_ids"].dtype == np.int64
    assert not encoded["token_type_ids"].any()


@pytest.mark.parametrize("text", ["the film is superb", ("dull", "the film"), "film " * 50])
def test_a_text_alone_is_read_as_in_a_batch(bert, text):
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", max_length=8)
    alone, together = tokenizer.encode([text]), tokenizer.encode([text, ""])
    for name, row in alone.items():
        assert row.dtype == np.int64
        np.testing.assert_array_equal(row[0], together[name][0])


def test_truncates_to_max_length_and_keeps_the_end_token(bert):
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", max_length=8)
    short = tokenizer.encode(["film"])["input_ids"][0]
    long = tokenizer.encode(["film " * 50])["input_ids"][0]
    assert len(long) == 8
    assert (long[0], long[-1]) == (short[0], short[-1])


def test_empty_text_keeps_its_special_tokens(bert):
    encoded = Tokenizer(bert.exported / "tokenizer.json", 16).encode([""])
    assert encoded["attention_mask"].tolist() == [[1, 1]]


def test_mpnet_pads_with_its_own_token(mpnet):
    tokenizer = Tokenizer(mpnet.exported / "tokenizer.json", 16)
    assert tokenizer.encode(["the film", "film"])["input_ids"][1, -1] == 1


@pytest.mark.parametrize(("pad_token", "pad_id"), [("[PAD]", 2), ("<pad>", 1)])
def test_known_padding_tokens_are_found_without_settings(bert, tmp_path, pad_token, pad_id):
    raw = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"a": 0, "b": 3, pad_token: pad_id}, "a")
    )
    raw.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer(tmp_path / "tokenizer.json", 8).pad_id == pad_id


def test_no_padding_token_is_an_error(tmp_path):
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, "a"))
    raw.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BundleError, match="no padding token"):
        Tokenizer(tmp_path / "tokenizer.json", 8)


def test_not_a_tokenizer_is_an_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="does not load"):
        Tokenizer(tmp_path / "tokenizer.json", 8)

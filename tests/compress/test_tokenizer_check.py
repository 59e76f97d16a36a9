"""Tokenizers that a later stage cannot use are refused before training."""

import json
import shutil

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from pocketbert.compress.errors import ModelError
from pocketbert.compress.tokenizer_check import check_tokenizers


def rewrite(folder, change):
    path = folder / "tokenizer.json"
    contents = json.loads(path.read_text())
    change(contents["model"])
    path.write_text(json.dumps(contents))


@pytest.fixture
def other(tiny_checkpoint, tmp_path):
    return shutil.copytree(tiny_checkpoint, tmp_path / "other")


def check(teacher, student, data, out, *, shared=False, trimmed=False, mask_token=None):
    return check_tokenizers(
        teacher=str(teacher),
        student=str(student),
        shared=shared,
        trimmed=trimmed,
        data=data,
        out=out,
        mask_token=mask_token,
    )


def test_the_same_tokenizer_in_two_folders_is_shared(tiny_checkpoint, other, tiny_data, tmp_path):
    found = check(tiny_checkpoint, other, tiny_data, tmp_path, shared=True, trimmed=True)
    assert found == {"shared": True, "trimmed": True}


def test_texts_cut_differently_are_refused_where_tokens_are_compared(
    tiny_checkpoint, other, tiny_data, tmp_path
):
    rewrite(other, lambda model: model["vocab"].pop("film"))
    with pytest.raises(ModelError, match="cut the texts into different tokens"):
        check(tiny_checkpoint, other, tiny_data, tmp_path, shared=True)
    check(tiny_checkpoint, other, tiny_data, tmp_path, trimmed=True)  # trimming it is no problem


def test_a_tokenizer_without_word_pieces_cannot_be_trimmed(
    tiny_checkpoint, other, tiny_data, tmp_path
):
    words = Tokenizer(WordLevel({"[UNK]": 0, "film": 1}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(other)
    with pytest.raises(ModelError, match="of type WordLevel, expected WordPiece"):
        check(tiny_checkpoint, other, tiny_data, tmp_path, trimmed=True)


def test_another_mask_token_than_new_texts_have_is_refused(
    tiny_checkpoint, other, tiny_data, tmp_path
):
    check(tiny_checkpoint, other, tiny_data, tmp_path, mask_token="[MASK]")
    path = other / "tokenizer_config.json"
    path.write_text(path.read_text().replace("[MASK]", "<mask>"))
    for pair, whose in (
        ((tiny_checkpoint, other), "student"),
        ((other, other), "student"),
        ((other, tiny_checkpoint), "teacher"),
    ):
        with pytest.raises(ModelError, match=f"the {whose}'s mask token is '<mask>', expected"):
            check(*pair, tiny_data, tmp_path, mask_token="[MASK]")
    with pytest.raises(ModelError, match="the teacher's mask token is '<mask>'"):
        check_tokenizers(
            teacher=str(tiny_checkpoint),
            student=str(tiny_checkpoint),
            shared=False,
            trimmed=False,
            data=tiny_data,
            out=tmp_path,
            mask_token="[MASK]",
            further_teachers=[str(other)],
        )

"""Words proposed by a masked language model: its own likeliest, whole, and never the one there."""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertForMaskedLM

from pocketbert.compress.config import AugmentConfig, MaskedWordsConfig, TransferConfig
from pocketbert.compress.errors import ModelError
from pocketbert.compress.masked_words import masked_words
from pocketbert.compress.transfer import build_transfer_set

TEXTS = [t.split() for t in ("the film is dull and of a plot", "this story is Gripping", "a film")]
VARIANTS = 100


def new_texts(checkpoint: Path, fraction: float, top: int = 15):
    config = MaskedWordsConfig(model=str(checkpoint), variants=VARIANTS, fraction=fraction, top=top)
    return list(masked_words(TEXTS, config, random.Random(0)))


def test_proposals_are_the_models_likeliest_whole_words(masked_lm):
    tokenizer = AutoTokenizer.from_pretrained(masked_lm)
    model = BertForMaskedLM.from_pretrained(masked_lm).eval()
    made = new_texts(masked_lm, top=3, fraction=0.5)
    assert len(made) == VARIANTS * len(TEXTS)
    for number, words in enumerate(TEXTS):
        variants = made[VARIANTS * number : VARIANTS * (number + 1)]
        assert {len(variant) for variant in variants} == {len(words)}
        for position, word in enumerate(words):
            asked = [*words[:position], "[MASK]", *words[position + 1 :]]
            with torch.no_grad():
                logits = model(**tokenizer(" ".join(asked), return_tensors="pt")).logits
            ranked = tokenizer.convert_ids_to_tokens(
                logits[0, position + 1 + _pieces_before(tokenizer, words, position)].argsort(
                    descending=True
                )
            )
            whole = [t for t in ranked if t.isalnum() and t != word.casefold()]
            found = {variant[position] for variant in variants} - {word}
            assert found == set(whole[:3])


def _pieces_before(tokenizer, words, position):
    return sum(len(tokenizer.tokenize(word)) - 1 for word in words[:position])


def test_a_fraction_of_the_words_is_replaced(masked_lm):
    made = new_texts(masked_lm, fraction=0.25)
    changed = [
        w != v for n, new in enumerate(made) for w, v in zip(TEXTS[n // VARIANTS], new, strict=True)
    ]
    assert 0.2 < sum(changed) / len(changed) < 0.3


def test_words_beyond_the_longest_input_stay(masked_lm):
    words = ["film"] * 200
    config = MaskedWordsConfig(model=str(masked_lm), variants=1, fraction=0.9)
    (new,) = masked_words([words], config, random.Random(0))
    assert new[100:] == words[100:]
    assert new[:40] != words[:40]


def test_a_checkpoint_without_the_head_is_refused_and_nothing_written(
    tiny_checkpoint, tiny_data, tmp_path
):
    config = MaskedWordsConfig(model=str(tiny_checkpoint), variants=1)
    with pytest.raises(ModelError, match=r"has no weights cls\..*, expected a checkpoint with a"):
        build_transfer_set(
            config=TransferConfig(augment=AugmentConfig(masked_words=config)),
            seed=0,
            data=tiny_data,
            out=tmp_path,
        )
    assert list(tmp_path.iterdir()) == []

"""Unigram tokenizers, set up in the ways that SentencePiece's models are."""

import random
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from pocketbert.compress.charsmap import charsmap
from pocketbert.compress.chinese_words import CHARACTER

from .cpp_texts import FRAGMENTS, WORDS, make_texts

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
FRAME = [("<s>", 0), ("</s>", 2)]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True)
class Variant:
    """One way to set up a tokenizer; `score` is what a piece gets."""

    normalizer: Callable[[], normalizers.Normalizer] | None
    pre_tokenizer: pre_tokenizers.PreTokenizer
    score: Callable[[random.Random], float]
    max_length: int
    added: tuple[AddedToken, ...] = ()
    further: tuple[str, ...] = ()  # pieces
    byte_fallback: bool = False


@cache
def precompiled() -> normalizers.Normalizer:
    """Compatibility forms, spaces, what goes, and some that begin a longer grapheme."""
    table = {}
    for character in map(chr, range(1, 0x10000)):
        if "\ud800" <= character <= "\udfff":
            continue
        becomes = unicodedata.normalize("NFKC", character)
        if unicodedata.category(character) == "Cc":
            becomes = " " if character.isspace() else ""
        if becomes != character:
            table[character] = becomes
    table |= {"\u00ad": "", "\u00a9": "(c)", "\u0915": "k", "\u0600": "", "e\u0301": "\u00e9"}
    table |= {"\u1161": "A", "\u11a8": "g", "\ufffd": " ", "\u4e00": "\u4e00\u4e00"}
    return normalizers.Precompiled(charsmap(table))


def exact(rng: random.Random) -> float:
    """As in a model file: a 32-bit number."""
    return float(struct.unpack("f", struct.pack("f", -rng.uniform(3, 15)))[0])


VARIANTS = {
    "xlm_roberta": Variant(
        precompiled,
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        exact,
        max_length=32,
        added=(AddedToken("<mask>", lstrip=True, special=True),),
    ),
    "chinese": Variant(
        precompiled,
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.WhitespaceSplit(),
                pre_tokenizers.Metaspace(),
                pre_tokenizers.Split(Regex(CHARACTER), "isolated"),
            ]
        ),
        exact,
        max_length=32,
    ),
    "spaces_replaced": Variant(
        lambda: normalizers.Sequence(
            [
                precompiled(),
                normalizers.Strip(left=False, right=True),
                normalizers.Replace(Regex(" {2,}"), "\u2581"),
                normalizers.Replace("...", "\u2026"),
            ]
        ),
        pre_tokenizers.Metaspace(),
        lambda rng: rng.choice([-0.5, -1.0, -1.5, -2.0]),  # many ties
        max_length=17,
        added=(
            AddedToken("ing", rstrip=True),
            AddedToken("Zürich", normalized=True),
            AddedToken("film", lstrip=True, rstrip=True, normalized=False),
        ),
    ),
    "bytes": Variant(
        lambda: normalizers.Replace(" ", "\u2581"),
        pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
        lambda rng: round(-10 * rng.random(), 1),  # sums that decimal fractions round
        max_length=512,
        further=tuple(BYTES),
        byte_fallback=True,
    ),
    "some_bytes": Variant(
        None,
        pre_tokenizers.Metaspace(prepend_scheme="never"),
        lambda rng: -10 * rng.random(),
        max_length=64,
        added=(AddedToken("film", lstrip=True), AddedToken("story", lstrip=True, rstrip=True)),
        further=tuple(BYTES[:0xE4]),
        byte_fallback=True,
    ),
}


def make(variant: Variant) -> Tokenizer:
    """A vocabulary of pieces of the texts, in which many characters are missing."""
    normalizer = variant.normalizer and variant.normalizer()
    text = " ".join([*FRAGMENTS, *make_texts(400, seed=7)])
    if normalizer is not None:
        text = normalizer.normalize_str(text)
    rng = random.Random(3)
    cut = (word for word, _ in variant.pre_tokenizer.pre_tokenize_str(text))
    words = [part for word in [*WORDS, *cut] for part in word.split()]
    pieces = dict.fromkeys([*SPECIAL, *variant.further], 0.0)
    for word in words:
        for _ in range(4 + len(word) // 20):
            start = rng.randrange(len(word))
            pieces.setdefault(word[start : start + rng.randint(1, 6)], variant.score(rng))
    vocabulary = list(pieces.items())
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=variant.byte_fallback))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = variant.pre_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=FRAME
    )
    tokenizer.add_special_tokens([name for name in SPECIAL if name != "<unk>"])
    tokenizer.add_tokens(list(variant.added))
    return tokenizer


def tiny() -> Tokenizer:
    """Everything in few bytes, for a fuzzer to change."""
    pieces = [*SPECIAL, "\u2581", "a", "b", "ab", "\u2581a"]
    vocabulary = [(piece, -float(number)) for number, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap({"\uff21": "a", "c": ""})), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer

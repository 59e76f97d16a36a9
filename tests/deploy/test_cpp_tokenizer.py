"""The C++ tokenizer gives the tokens of Hugging Face's, on texts made to find a difference."""

import json
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from pocketbert.deploy.cpp import make_unicode_tables

from . import unigram_variants
from .cpp_build import SOURCE
from .cpp_texts import FRAGMENTS, WORDS, broken_bytes, make_texts

TEXTS = 2000  # and as many broken ones, and as many pairs, for every variant
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FRAME = [("[CLS]", 2), ("[SEP]", 3)]


@dataclass(frozen=True)
class Variant:
    """One way to set up a tokenizer."""

    normalizer: normalizers.Normalizer
    post_processor: processors.PostProcessor | None
    max_length: int
    added: tuple[AddedToken, ...] = ()


WORD_PIECE = {
    "uncased": Variant(
        normalizers.BertNormalizer(),
        processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=FRAME
        ),
        max_length=32,
    ),
    "cased": Variant(
        normalizers.BertNormalizer(lowercase=False),
        processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
        max_length=17,
        added=(AddedToken("[MASK]", lstrip=True, special=True), AddedToken("##ing", rstrip=True)),
    ),
    "accents_kept": Variant(
        normalizers.BertNormalizer(strip_accents=False, handle_chinese_chars=False),
        processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)),
        max_length=8,
        added=(AddedToken("Zürich", normalized=True), AddedToken("<S>", normalized=True)),
    ),
    "not_cleaned": Variant(
        normalizers.BertNormalizer(clean_text=False, lowercase=False, strip_accents=True),
        None,
        max_length=512,
        added=(
            AddedToken("\ufffd", normalized=False),
            AddedToken("漢字", lstrip=True, rstrip=True),
        ),
    ),
}


AnyVariant = Variant | unigram_variants.Variant
VARIANTS: dict[str, AnyVariant] = {**WORD_PIECE, **unigram_variants.VARIANTS}


def make_tokenizer(path: Path, variant: AnyVariant) -> Tokenizer:
    """Write a tokenizer and return it."""
    if isinstance(variant, unigram_variants.Variant):
        tokenizer = unigram_variants.make(variant)
    else:
        tokenizer = make_word_piece(variant)
    tokenizer.save(str(path))
    return Tokenizer.from_file(str(path))


def make_word_piece(variant: Variant) -> Tokenizer:
    """A vocabulary of pieces of the texts, so that words are cut in many ways."""
    normalized = variant.normalizer.normalize_str(" ".join([*FRAGMENTS, *make_texts(400, seed=7)]))
    words = [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]
    rng = random.Random(3)
    pieces = dict.fromkeys(SPECIAL)
    for word in [*WORDS, *words]:
        for _ in range(4):
            start = rng.randrange(len(word))
            piece = word[start : start + rng.randint(1, 6)]
            pieces[piece if start == 0 else f"##{piece}"] = None
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = variant.normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if variant.post_processor is not None:
        tokenizer.post_processor = variant.post_processor
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(list(variant.added))
    return tokenizer


@dataclass(frozen=True)
class Record:
    """A text or a pair, as bytes."""

    text: bytes
    second: bytes | None = None

    def packed(self) -> bytes:
        """As the program `tokenize` reads it."""
        size = -1 if self.second is None else len(self.second)
        return b"%d %d\n" % (len(self.text), size) + self.text + (self.second or b"")

    def expected(self, tokenizer: Tokenizer) -> dict[str, list[int]]:
        """What Hugging Face makes of it."""
        second = None if self.second is None else self.second.decode(errors="replace")
        encoding = tokenizer.encode(self.text.decode(errors="replace"), second)
        return {"ids": encoding.ids, "type_ids": encoding.type_ids}


def make_records(count: int, seed: int) -> list[Record]:
    """Texts, broken texts and pairs."""
    texts = make_texts(count, seed)
    records = [Record(text.encode()) for text in texts]
    records += [Record(data) for data in broken_bytes(texts, seed)]
    pairs = zip(texts, reversed(texts), strict=True)
    return records + [Record(first.encode(), second.encode()) for first, second in pairs]


def tokenize(
    program: Path, tokenizer: Path, max_length: int, records: list[Record], *truncation: str
) -> list[str]:
    """The lines of the C++ program."""
    done = subprocess.run(
        [program, tokenizer, str(max_length), *truncation],
        input=b"".join(record.packed() for record in records),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().splitlines()


def compare(program: Path, folder: Path, name: str) -> int:
    """Check one variant; returns how many texts were compared."""
    variant = VARIANTS[name]
    path = folder / f"{name}.json"
    tokenizer = make_tokenizer(path, variant)
    tokenizer.enable_truncation(variant.max_length)
    records = make_records(TEXTS, seed=sorted(VARIANTS).index(name))
    lines = tokenize(program, path, variant.max_length, records)
    assert len(lines) == len(records)
    for record, line in zip(records, lines, strict=True):
        assert json.loads(line) == record.expected(tokenizer), record
    return len(records)


@pytest.mark.parametrize("name", VARIANTS)
def test_tokens_are_those_of_hugging_face(cpp, tmp_path, name, record_property):
    record_property("texts_compared", compare(cpp / "tests/tokenize", tmp_path, name))


@pytest.mark.parametrize("name", ["uncased", "xlm_roberta"])
@pytest.mark.parametrize("keep", ["tail", "head+tail"])
def test_long_texts_and_pairs_are_cut_as_hugging_face_does(cpp, tmp_path, keep, name):
    path = tmp_path / "tokenizer.json"
    tokenizer = make_tokenizer(path, VARIANTS[name])
    if keep == "tail":
        tokenizer.enable_truncation(9, direction="left")
    records = make_records(300, seed=5)
    cut = 0
    for record, line in zip(
        records, tokenize(cpp / "tests/tokenize", path, 9, records, keep), strict=True
    ):
        expected = record.expected(tokenizer)
        if keep == "head+tail" and len(expected["ids"]) > 9:
            expected = {name: ids[:5] + ids[-4:] for name, ids in expected.items()}
            cut += 1
        assert json.loads(line) == expected, record
    assert keep == "tail" or cut > 100


@pytest.mark.parametrize("name", ["uncased", "xlm_roberta"])
def test_windows_are_those_of_hugging_face(cpp, tmp_path, name):
    path = tmp_path / "tokenizer.json"
    tokenizer = make_tokenizer(path, VARIANTS[name])
    tokenizer.enable_truncation(9, stride=3)
    records = [record for record in make_records(300, seed=6) if record.second is None]
    encodings = [tokenizer.encode(record.text.decode(errors="replace")) for record in records]
    expected = [one.ids for encoding in encodings for one in (encoding, *encoding.overflowing)]
    lines = tokenize(cpp / "tests/tokenize", path, 9, records, "windows", "3")
    assert [json.loads(line)["ids"] for line in lines] == expected
    assert len(expected) > 2 * len(records)


@pytest.mark.parametrize("name", VARIANTS)
def test_tokens_cover_the_characters_that_they_cover_for_hugging_face(cpp, tmp_path, name):
    path = tmp_path / "tokenizer.json"
    tokenizer = make_tokenizer(path, VARIANTS[name])
    records = [record for record in make_records(TEXTS, seed=8) if record.second is None]
    lines = tokenize(cpp / "tests/tokenize", path, 512, records, "tokens")
    assert len(lines) == len(records) > TEXTS
    for record, line in zip(records, lines, strict=True):
        text = record.text.decode(errors="replace")
        encoding = tokenizer.encode(text, add_special_tokens=False)
        found = [(*token[:3], int(token[3])) for token in json.loads(line)]
        spans = zip(encoding.ids, encoding.offsets, encoding.word_ids, strict=True)
        assert found == [(number, *span, word) for number, span, word in spans], record


def test_there_are_enough_texts():
    for count in (len(WORD_PIECE), len(unigram_variants.VARIANTS)):
        assert count * len(make_records(TEXTS, seed=0)) >= 20_000


def test_unicode_tables_are_those_of_the_installed_library():
    written = (SOURCE / "source/unicode_tables.hpp").read_text()
    assert tokenizers.__version__ in written.splitlines()[0]
    assert make_unicode_tables.header() == written


BREAKS = {
    "not JSON": (lambda raw: "{", "is not JSON"),
    "another model": (lambda raw: raw.replace('"WordPiece"', '"BPE"'), "'BPE' is not known"),
    "an id that is no number": (lambda raw: raw.replace('"[UNK]": 1', '"[UNK]": "1"'), "no whole"),
    "a negative id": (lambda raw: raw.replace('"[UNK]": 1', '"[UNK]": -1'), "-1 is not in 0"),
    "no unknown token": (lambda raw: raw.replace('"[UNK]": 1,', ""), "not in the vocabulary"),
    "whole words only": (
        lambda raw: raw.replace('"single_word": false', '"single_word": true'),
        "whole words only",
    ),
    "no padding token": (lambda raw: raw.replace("[PAD]", "[FILL]"), "neither [PAD] nor <pad>"),
}


UNIGRAM_BREAKS = {
    "no unknown token": (lambda raw: raw.replace('"unk_id": 3', '"unk_id": null'), "no whole"),
    "an unknown token beyond the end": (
        lambda raw: raw.replace('"unk_id": 3', '"unk_id": 9999999'),
        "is not in 0..",
    ),
    "a score that is text": (lambda raw: re.sub(r'("<pad>",\s*)0.0', r'\1"0"', raw), "no number"),
    "a table of no base64": (
        lambda raw: raw.replace('"precompiled_charsmap": "', '"precompiled_charsmap": "!!!!'),
        "no base64",
    ),
    "a table that is cut off": (
        lambda raw: re.sub(r'("precompiled_charsmap": ".{400})[^"]*', r"\1", raw),
        "cut off",
    ),
    "a space before the first word only": (
        lambda raw: raw.replace('"prepend_scheme": "always"', '"prepend_scheme": "first"'),
        "'first' is not known",
    ),
    "another pre-tokenizer": (lambda raw: raw.replace('"Metaspace"', '"Digits"'), "'Digits'"),
}


@pytest.mark.parametrize(
    ("variant", "change", "message"),
    [("uncased", *case) for case in BREAKS.values()]
    + [("xlm_roberta", *case) for case in UNIGRAM_BREAKS.values()],
    ids=[*BREAKS, *(f"unigram, {name}" for name in UNIGRAM_BREAKS)],
)
def test_a_tokenizer_that_is_wrong_is_refused_in_one_sentence(
    cpp, tmp_path, variant, change, message
):
    path = tmp_path / "tokenizer.json"
    make_tokenizer(path, VARIANTS[variant])
    written = path.read_text()
    assert change(written) != written
    path.write_text(change(written))
    done = subprocess.run(
        [cpp / "tests/tokenize", path, "8"], input="", capture_output=True, text=True
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "expected" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_room_for_special_tokens_is_refused(cpp, tmp_path):
    path = tmp_path / "tokenizer.json"
    make_tokenizer(path, VARIANTS["uncased"])
    program = [cpp / "tests/tokenize", path]
    alone = subprocess.run([*program, "1"], input=b"", capture_output=True)
    pair = subprocess.run([*program, "2"], input=Record(b"a", b"b").packed(), capture_output=True)
    assert (alone.returncode, pair.returncode) == (2, 2)
    assert b"expected 2 or more" in alone.stderr
    assert b"expected 3 or more" in pair.stderr


@pytest.mark.slow
def test_no_sanitizer_complains_about_any_text(cpp_sanitized, tmp_path):
    for name in VARIANTS:
        compare(cpp_sanitized / "tests/tokenize", tmp_path, name)

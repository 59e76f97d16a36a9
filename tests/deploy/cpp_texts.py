"""Texts on which a tokenizer of our own may differ from Hugging Face's, from a seed."""

import random
import sys
from collections.abc import Callable

FRAGMENTS = [
    *("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "[SEP", "[mask]", "<s>", "</s>", "<mask>"),
    *(
        "##",
        "##ing",
        "a" * 101,
        "å" * 100,
        "İstanbul",
        "ΣΊΣΥΦΟΣ",
        "ß",
        "\ufb01n",
        "don't",
        "U.S.A.",
    ),
    *("e\u0301\u0327", "q\u0323\u0307", "\u1112\u1161\u11ab", "\u3099", "\u30ab\u3099", "\u0344"),
    *("한국어", "漢字かな交じり文", "\uf900", "\U0002f800", "नमस्ते", "ภาษาไทย", "العَرَبِيَّة", "עִבְרִית"),
    *("\u0b48", "\u0f73", "\U0001d15e", "\u302e\u0327\u302f", "\U00016ff0\u0300", "\u0378"),
    *("\x00", "\ufffd", "\u200d", "\ufeff", "\u00ad", "\u2028", "\u0085", "\u00a0", "\u3000"),
    *("\t", "\r\n", "\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\ue000", "\U000e0041"),
    *("U.S.A.", "$9.99", "¿qué?", "…", "—", "«x»"),
    *("\u2581", "\u2581\u2581a", " <mask> ", "<unk>", "<pad>", "日本語テキスト", "ｶﾞｷﾞ", "مرحبا"),
    *("\u00a9\u200d\u00ae\u0301", "\u0937\u094d\u0915\u0301", "\u0937\u094d\u200c\u0915\u0301"),
    *("\u0600a", "\u1100\u1161\u11a8\u0301", "\uac00\u11a8\u0301", "\u2603\u200d\u00a9\u0301"),
]
WORDS = [
    *("the", "film", "is", "a", "gripping", "tender", "story", "of", "unaffable", "embeddings"),
    *("and", "superb", "electroencephalography", "naïve", "café", "Zürich", "Ærøskøbing", "2026"),
    *("3.14", "co-operate", "http://example.org/?q=1&r=2", "running", "Runner"),
]
BAD_BYTES = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
MARKS = [
    *(0x300, 0x327, 0x323, 0x345, 0x334, 0x5B0, 0x8D3, 0x93C, 0x94D, 0xB56, 0x1ABF, 0x20D2),
    *(0x302E, 0x16FF0, 0x1D165, 0x1D16D),
]
CHINESE = [
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    (0x2F800, 0x2FA1F),
]
SPACES = [" ", " ", " ", "", "  ", "\t", "\n", "\u00a0"]


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of every kind in turn."""
    rng = random.Random(seed)
    kinds: list[Callable[[random.Random], str]] = [
        words, random_unicode, planes_of_letters, chinese, fragments, mixed, combining, long_text,
    ]  # fmt: skip
    return ["", " ", "[SEP]", *(kinds[number % len(kinds)](rng) for number in range(count))]


def broken_bytes(texts: list[str], seed: int = 1) -> list[bytes]:
    """UTF-8 of the texts with bytes changed, cut off, put in or taken out."""
    rng = random.Random(seed)
    broken = []
    for text in texts:
        data = bytearray(text.encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(data))
            if rng.random() < 0.5:
                data[at:at] = rng.choice(BAD_BYTES)
            else:
                del data[at : at + rng.randint(0, 2)]
        broken.append(bytes(data))
    return broken


def words(rng: random.Random) -> str:
    """English with some capitals and punctuation."""
    chosen = (rng.choice(WORDS) for _ in range(rng.randint(1, 30)))
    return " ".join(rng.choice([w, w, w.upper(), w.title(), w + ",", f"({w})"]) for w in chosen)


def random_unicode(rng: random.Random) -> str:
    """Any code points but surrogates."""
    return "".join(code_point(rng, sys.maxunicode) for _ in range(rng.randint(1, 40)))


def planes_of_letters(rng: random.Random) -> str:
    """Code points below U+3100, where scripts and marks are, a few from one block."""
    start = rng.randrange(0x3100)
    near = (chr(start + rng.randrange(96)) for _ in range(rng.randint(1, 30)))
    return "".join(rng.choice([c, c, c, " ", rng.choice(WORDS)]) for c in near)


def chinese(rng: random.Random) -> str:
    """Chinese characters of all blocks, among words."""
    picked = (chr(rng.randint(*rng.choice(CHINESE))) for _ in range(rng.randint(1, 20)))
    return "".join(rng.choice([c, c, c + rng.choice(WORDS), c + " "]) for c in picked)


def fragments(rng: random.Random) -> str:
    """Fragments that touch one another."""
    return "".join(rng.choice(FRAGMENTS) + rng.choice(SPACES) for _ in range(rng.randint(1, 12)))


def mixed(rng: random.Random) -> str:
    """Everything."""
    kinds = [words, random_unicode, chinese, fragments, combining]
    return rng.choice(SPACES).join(rng.choice(kinds)(rng) for _ in range(rng.randint(2, 3)))


def combining(rng: random.Random) -> str:
    """Letters under piles of marks."""
    return "".join(
        rng.choice("aeoÅñÇ가각क")
        + "".join(chr(rng.choice(MARKS)) for _ in range(rng.randint(0, 5)))
        for _ in range(rng.randint(1, 10))
    )


def long_text(rng: random.Random) -> str:
    """Longer than the longest input."""
    return " ".join(rng.choice(WORDS + FRAGMENTS) for _ in range(rng.randint(60, 200)))


def code_point(rng: random.Random, highest: int) -> str:
    """One code point that UTF-8 can say."""
    number = rng.randint(0, highest - 0x800)
    return chr(number if number < 0xD800 else number + 0x800)

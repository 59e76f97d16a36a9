"""Writes source/unicode_tables.hpp: what the installed `tokenizers` does to every code point.

    python deploy/cpp/make_unicode_tables.py

The library mixes Unicode versions (one for categories, one for decomposition, one for lower case),
so it is asked instead of a standard: every code point goes through BertNormalizer, one step at a
time, through BertPreTokenizer, and through Split. What grapheme clusters are made of is known from
the package `regex`, whose Unicode is later; Precompiled, which cuts into clusters, says which of it
holds.
tests/deploy/test_cpp_tokenizer.py compares the file with this script.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import regex  # type: ignore[import-untyped]
import tokenizers
from tokenizers import Regex
from tokenizers.normalizers import NFD, BertNormalizer, Precompiled
from tokenizers.pre_tokenizers import BertPreTokenizer, Split

from pocketbert.compress.charsmap import charsmap

OUT = Path(__file__).parent / "source/unicode_tables.hpp"
BLOCK = 128
SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic
LONGEST_GAP = 8  # unchanged code points inside a run, cheaper than a run more
LOWEST_MARK = "\u0334"  # class 1: whatever has a higher class is moved behind it
HIGH_MARK = "\u0301"  # class 230
CONSONANT, LINKER = "\u0915", "\u094d"


def main() -> None:
    """Write the tables."""
    OUT.write_text(header())


def header() -> str:
    """The text of the C++ header."""
    cleaned = changes(only(clean_text=True))
    spaced = changes(only(handle_chinese_chars=True))
    stripped = changes(only(strip_accents=True))
    lowered = changes(only(lowercase=True))
    words = changes(lambda text: "|".join(w for w, _ in BertPreTokenizer().pre_tokenize_str(text)))
    chinese_words = Split(Regex("\\p{Han}"), "isolated")
    han = changes(lambda text: "|".join(w for w, _ in chinese_words.pre_tokenize_str(text)))
    bases = {c: t for c, t in stripped.items() if t and c not in HANGUL}
    marks = [c for c, t in stripped.items() if not t]
    check_no_order_is_lost(bases)
    parts = [
        f"// Written by make_unicode_tables.py from tokenizers {tokenizers.__version__}.",
        "#pragma once",
        '#include "unicode.hpp"',
        "namespace pocketbert::unicode {",
        ranges("kRemovedByCleaning", (c for c, text in cleaned.items() if not text)),
        ranges("kSpacesOfCleaning", (c for c, text in cleaned.items() if text == " ")),
        ranges("kChineseCharacters", spaced),
        ranges("kHan", han),
        ranges("kNonspacingMarks", marks),
        ranges("kWhitespace", (c for c, text in words.items() if text == "|")),
        ranges("kPunctuation", (c for c, text in words.items() if text == f"|{chr(c)}|")),
        combining_classes(),
        grapheme_classes(),
        mapping("kWithoutMarks", bases),
        mapping("kLowercase", lowered),
        "}  // namespace pocketbert::unicode",
    ]
    return "\n".join(parts) + "\n"


def only(**step: bool) -> Callable[[str], str]:
    """BertNormalizer with one of its steps."""
    none = {"clean_text": False, "handle_chinese_chars": False, "lowercase": False}
    return BertNormalizer(**{**none, "strip_accents": False, **step}).normalize_str


def changes(function: Callable[[str], str]) -> dict[int, str]:
    """What a function makes of each code point between two letters, where that is a change."""
    changed = {}
    for start in range(0, sys.maxunicode + 1, BLOCK):
        block = [c for c in range(start, start + BLOCK) if c not in SURROGATES]
        together = "a".join(["", *map(chr, block), ""])
        if function(together) == together:
            continue
        for c in block:
            text = function(f"a{chr(c)}a")[1:-1]
            if text != chr(c):
                changed[c] = text
    return changed


def check_no_order_is_lost(bases: dict[int, str]) -> None:
    """Dropping marks before they are put in order must not change the order of what stays."""
    for c in bases:
        decomposed = NFD().normalize_str(chr(c))
        stays = [character for character in decomposed[1:] if character in bases[c]]
        assert combining_class(decomposed[0]) == 0 or not stays, hex(c)


def combining_class(character: str) -> int:
    """Canonical combining class in the library's version of Unicode."""
    klass = unicodedata.combining(character)  # a class never changes, but later versions have more
    probe = (HIGH_MARK + character) if klass == 1 else (character + LOWEST_MARK)
    return klass if klass and NFD().normalize_str("a" + probe) != "a" + probe else 0


def combining_classes() -> str:
    """The table of all classes but 0."""
    rows: list[list[int]] = []
    for c in range(sys.maxunicode + 1):
        klass = unicodedata.combining(chr(c)) and combining_class(chr(c))
        if rows and klass and rows[-1][1:] == [c - 1, klass]:
            rows[-1][1] = c
        elif klass:
            rows.append([c, c, klass])
    body = ", ".join(f"{{{first:#x}, {last:#x}, {klass}}}" for first, last, klass in rows)
    return f"inline constexpr ClassRange kCombiningClasses[] = {{{wrapped(body)}}};"


def grapheme_classes() -> str:
    """The table of what grapheme clusters are made of; later rows of the dict win."""
    consonants = having("InCB=Consonant")
    linked = without_lost_marks(consonants)
    after_a = without_lost_marks({"a"})
    joined = {c for c in having("GCB=EX") | having("GCB=ZWJ") if after_a(f"a{c}") == "x"}
    prepended, control = having("GCB=PP"), having("GCB=CN") | {"\r", "\n"}
    before_a, before_mark = without_lost_marks(prepended), without_lost_marks(control - {"\0"})
    classes = {
        "control": {c for c in control if before_mark(c + HIGH_MARK).endswith(HIGH_MARK)},
        "extend": joined,
        "linker": {
            c
            for c in joined & having("InCB=Linker")
            if linked(CONSONANT + c + CONSONANT + HIGH_MARK).endswith(HIGH_MARK)
        },
        "spacing_mark": {c for c in having("GCB=SM") if after_a(f"a{c}") == "x"},
        "prepended": {c for c in prepended if before_a(f"{c}a") == "x"},
        "consonant": {
            c for c in consonants if linked(CONSONANT + LINKER + c + HIGH_MARK).endswith(HIGH_MARK)
        },
        "pictograph": having("ExtPict"),
        "lead": having("GCB=L"),
        "vowel": having("GCB=V"),
        "tail": having("GCB=T"),
    }
    class_of = {c: name for name, characters in classes.items() for c in characters}
    rows: list[tuple[int, int, str]] = []
    for c in sorted(class_of):
        first = ord(c)
        if rows and rows[-1][1:] == (first - 1, class_of[c]):
            first = rows.pop()[0]
        rows.append((first, ord(c), class_of[c]))
    body = ", ".join(
        f"{{{first:#x}, {last:#x}, GraphemeClass::{name}}}" for first, last, name in rows
    )
    return f"inline constexpr GraphemeRange kGraphemeClasses[] = {{{wrapped(body)}}};"


def having(name: str) -> set[str]:
    """Characters that have a property."""
    every = "".join(chr(c) for c in range(sys.maxunicode + 1) if c not in SURROGATES)
    return set(regex.findall(rf"\p{{{name}}}", every))


def without_lost_marks(found: set[str]) -> Callable[[str], str]:
    """Precompiled that makes these an x, and loses what shares a short cluster with one."""
    return Precompiled(charsmap(dict.fromkeys(found, "x"))).normalize_str


def ranges(name: str, points: Iterable[int]) -> str:
    """A table of inclusive ranges."""
    rows: list[list[int]] = []
    for c in sorted(points):
        if rows and rows[-1][1] == c - 1:
            rows[-1][1] = c
        else:
            rows.append([c, c])
    body = ", ".join(f"{{{first:#x}, {last:#x}}}" for first, last in rows)
    return f"inline constexpr Range {name}[] = {{{wrapped(body)}}};"


def mapping(name: str, changed: dict[int, str]) -> str:
    """Runs of code points that become one other, and a table of those that become several."""
    runs: list[tuple[int, list[str]]] = []
    for c in sorted(c for c, text in changed.items() if len(text) == 1):
        if runs and c - runs[-1][0] - len(runs[-1][1]) <= LONGEST_GAP:
            first, texts = runs[-1]
            texts += [chr(gap) for gap in range(first + len(texts), c)]
            texts.append(changed[c])
        else:
            runs.append((c, [changed[c]]))
    # A gap may hold one that becomes several; that table is asked first.
    several = [(c, list(text)) for c, text in sorted(changed.items()) if len(text) > 1]
    return "\n".join(
        f"inline constexpr Run {table}[] = {{\n"
        + "\n".join(f"    {{{first:#x}, {literal(texts)}}}," for first, texts in rows)
        + "\n};"
        for table, rows in ((f"{name}Runs", runs), (f"{name}Several", several))
    )


def literal(characters: list[str]) -> str:
    """A UTF-32 literal; what does not stand by itself from left to right is escaped."""
    plain = {"L"}
    shown = [
        c if c.isalpha() and unicodedata.bidirectional(c) in plain else f"\\U{ord(c):08X}"
        for c in characters
    ]
    lines = ["".join(shown[start : start + 48]) for start in range(0, len(shown), 48)]
    return "\n     ".join(f'U"{line}"' for line in lines)


def wrapped(body: str) -> str:
    """Break a long list into lines."""
    lines, line = [], ""
    for item in body.split("}, "):
        line += item + ("" if item.endswith("}") else "}, ")
        if len(line) > 80:
            lines.append(line.rstrip())
            line = ""
    return "\n    " + "\n    ".join([*lines, line])


if __name__ == "__main__":
    main()

"""New texts made of training texts, for the teacher to label: one function each, in AUGMENTERS.

They need not be good English: the teacher says what it makes of them, and that is what a student
learns (Tang et al. 2019, section 3.2; Jiao et al. 2020, section 3.2).
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .config import AugmentConfig, MaskedConfig, MixedConfig, SpansConfig, WordsConfig
from .masked_words import masked_words


def augment(texts: Sequence[str], config: AugmentConfig, seed: int) -> Iterator[str]:
    """Yield the new texts of every chosen augmenter; the same seed gives the same texts."""
    words = [text.split() for text in texts]
    for name, augmenter in AUGMENTERS.items():
        chosen = getattr(config, name)
        if chosen is not None:
            yield from map(" ".join, augmenter(words, chosen, random.Random(f"{name} {seed}")))


def spans(texts: list[list[str]], config: SpansConfig, draw: random.Random) -> Iterator[list[str]]:
    """Yield from each text spans whose lengths are drawn evenly."""
    for words in texts:
        for _ in range(config.variants):
            length = draw.randint(min(config.shortest, len(words)), len(words))
            start = draw.randint(0, len(words) - length)
            yield words[start : start + length]


def mixed(texts: list[list[str]], config: MixedConfig, draw: random.Random) -> Iterator[list[str]]:
    """Yield the beginning of each text, at least a word of it, before the end of another."""
    for words in texts:
        for _ in range(config.variants):
            other = draw.choice(texts)
            head = words[: draw.randint(1, len(words))]
            yield head + other[len(other) - draw.randint(1, len(other)) :]


def masked(
    texts: list[list[str]], config: MaskedConfig, draw: random.Random
) -> Iterator[list[str]]:
    """Yield each text with words hidden behind the mask token."""
    for words in texts:
        for _ in range(config.variants):
            yield [config.token if draw.random() < config.fraction else word for word in words]


def replaced(
    texts: list[list[str]], config: WordsConfig, draw: random.Random
) -> Iterator[list[str]]:
    """Yield each text with words replaced by what stands between the same two words elsewhere.

    A stand-in for TinyBERT's masked language model where no such model is at hand. Words that
    never share both neighbours fall back on words that share the one before.
    """
    between: dict[tuple[str, str], list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for words in texts:
        for before, word, behind in _with_neighbours(words):
            between[before, behind].append(word)
            after[before].append(word)
    for words in texts:
        for _ in range(config.variants):
            yield [
                _other(word, (between[before, behind], after[before]), draw)
                if draw.random() < config.fraction
                else word
                for before, word, behind in _with_neighbours(words)
            ]


def _with_neighbours(words: list[str]) -> Iterator[tuple[str, str, str]]:
    return zip(["", *words[:-1]], words, [*words[1:], ""], strict=True)


def _other(word: str, choices: tuple[list[str], list[str]], draw: random.Random) -> str:
    for candidates in choices:
        others = [candidate for candidate in candidates if candidate != word]
        if others:
            return draw.choice(others)
    return word


# Field of AugmentConfig -> (texts as words, its config, random numbers) -> new texts as words.
AUGMENTERS: dict[str, Callable[[list[list[str]], Any, random.Random], Iterator[list[str]]]] = {
    "spans": spans,
    "mixed": mixed,
    "words": replaced,
    "masked": masked,
    "masked_words": masked_words,
}

"""Splitting by the text itself: duplicates stay together, fractions come out right."""

import random

import pytest

from pocketbert.compress.split import choose_split, normalise, split_position

LETTERS = "abcdefghijklmnopqrstuvwxyzÄÖßéñςİ中文\ufb01\uff21\uff11 \u3000\t"


def random_texts(count: int) -> list[str]:
    draw = random.Random(7)
    return ["".join(draw.choices(LETTERS, k=draw.randrange(1, 40))) for _ in range(count)]


@pytest.mark.parametrize(
    "variant",
    [
        "a GOOD film",
        "  a good\tfilm\n",
        "a\u00a0good film",
        "\uff41 \uff47\uff4f\uff4f\uff44 \uff46\uff49\uff4c\uff4d",
        "A good  \ufb01lm",
    ],
)
def test_variants_of_a_text_are_one_text(variant):
    assert normalise(variant) == "a good film"
    assert split_position(variant) == split_position("a good film")


def test_texts_with_other_words_or_punctuation_are_other_texts():
    assert normalise("a good film") != normalise("a good film!")
    assert split_position("a good film") != split_position("a good film!")


def test_normalising_again_changes_nothing():
    for text in random_texts(2000):
        assert normalise(normalise(text)) == normalise(text)


def test_duplicates_never_straddle():
    for text in random_texts(2000):
        for variant in (text.upper().lower(), f"  {text} ", text.replace(" ", "\n ")):
            if normalise(variant) == normalise(text):
                split = choose_split(text, validation=0.3, test=0.3)
                assert choose_split(variant, validation=0.3, test=0.3) == split


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.2), (0.05, 0.0), (0.4, 0.4)])
def test_fractions_come_out_right(validation, test):
    splits = [
        choose_split(f"text number {n}", validation=validation, test=test) for n in range(20_000)
    ]
    # 4 standard deviations of the largest binomial here
    tolerance = 4 * (0.25 / 20_000) ** 0.5
    assert abs(splits.count("test") / 20_000 - test) < tolerance
    assert abs(splits.count("validation") / 20_000 - validation) < tolerance


def test_positions_lie_in_the_unit_interval_and_are_pinned():
    positions = [split_position(str(n)) for n in range(10_000)]
    assert 0 <= min(positions) < 0.001
    assert 0.999 < max(positions) < 1
    # Another value here would silently move texts between splits of every user.
    assert split_position("a good film") == 0.326461439747481


def test_a_larger_validation_fraction_leaves_the_test_split_alone():
    for n in range(2000):
        before = choose_split(str(n), validation=0.1, test=0.2)
        after = choose_split(str(n), validation=0.5, test=0.2)
        assert (before == "test") == (after == "test")


def test_half_a_surrogate_pair_has_a_position():
    assert 0 <= split_position("\ud83d") < 1

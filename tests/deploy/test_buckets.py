from itertools import combinations

import pytest

from pocketbert.deploy.buckets import best_buckets, bucket_of, choose_buckets, padding_waste

HISTOGRAMS = [
    [0, 3, 0, 7, 1, 1, 0, 9, 2],
    [0, 0, 0, 5],
    [0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    [4, 0, 0, 100, 0, 0, 0, 0, 1, 1, 50],
]


def padded_tokens(histogram, buckets):
    """Tokens that are computed, counted text by text."""
    total = 0
    for length in range(1, len(histogram)):
        for _ in range(histogram[length]):
            total += next(bucket for bucket in sorted(buckets) if bucket >= length)
    return total


@pytest.mark.parametrize("histogram", HISTOGRAMS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_other_choice_pads_less(histogram, count):
    longest = len(histogram) - 1
    everything = [
        (*shorter, longest)
        for size in range(count)
        for shorter in combinations(range(1, longest), size)
    ]
    chosen = best_buckets(histogram, count)
    assert len(chosen) <= count
    assert list(chosen) == sorted(set(chosen))
    assert chosen[-1] == longest
    least = min(padded_tokens(histogram, buckets) for buckets in everything)
    assert padded_tokens(histogram, chosen) == least


@pytest.mark.parametrize("histogram", HISTOGRAMS)
def test_waste_is_padding_for_each_token(histogram):
    buckets = best_buckets(histogram, 2)
    tokens = sum(length * texts for length, texts in enumerate(histogram))
    expected = padded_tokens(histogram, buckets) / tokens - 1
    assert padding_waste(histogram, buckets) == pytest.approx(expected)


def test_the_fewest_buckets_that_waste_little():
    histogram = [0, *[1] * 100]
    buckets = choose_buckets(histogram, max_waste=0.2)
    assert padding_waste(histogram, buckets) <= 0.2
    assert padding_waste(histogram, best_buckets(histogram, len(buckets) - 1)) > 0.2
    assert len(choose_buckets(histogram, max_waste=0.0, max_buckets=6)) == 6


def test_every_length_once_is_no_waste():
    assert choose_buckets([0, 0, 3, 0, 5], max_waste=0.0) == (2, 4)


@pytest.mark.parametrize("histogram", [[], [0, 0], [7]])
def test_no_texts(histogram):
    assert choose_buckets(histogram) == ()


def test_the_bucket_of_a_text():
    assert [bucket_of(n, (8, 16)) for n in (1, 8, 9, 16, 17)] == [8, 8, 16, 16, None]

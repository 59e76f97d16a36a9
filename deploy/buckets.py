"""Lengths that inputs are padded to, chosen from the lengths that the data has.

A runtime that compiles for fixed shapes is fast on those and slow on every other. Few lengths keep
what it compiles small, many keep padding small; both are counted here, in tokens.
"""

from collections.abc import Sequence
from itertools import accumulate

MAX_WASTE = 0.2
MAX_BUCKETS = 8


def choose_buckets(
    histogram: Sequence[int], max_waste: float = MAX_WASTE, max_buckets: int = MAX_BUCKETS
) -> tuple[int, ...]:
    """Choose the fewest bucket lengths that waste little padding.

    Args:
        histogram: Texts that have 0, 1, 2 ... tokens.
        max_waste: Padding allowed for each token of text, 0..1.
        max_buckets: How many buckets there are at most, however much padding that leaves.

    Returns:
        Lengths in tokens, the shortest first; the last is that of the longest text. None if there
        are no texts.
    """
    buckets: tuple[int, ...] = ()
    for count in range(1, max_buckets + 1):
        buckets = best_buckets(histogram, count)
        if padding_waste(histogram, buckets) <= max_waste:
            break
    return buckets


def best_buckets(histogram: Sequence[int], count: int) -> tuple[int, ...]:
    """Find the bucket lengths that waste the least padding of all choices of at most `count`.

    Dynamic programming over the lengths seen: the best choice that ends at a length is the best
    choice of one bucket less that ends at a shorter one, and a bucket between the two.
    """
    lengths = [length for length, texts in enumerate(histogram) if texts and length]
    if not lengths:
        return ()
    # Texts up to each of the lengths; a bucket pads those after its predecessor up to its own.
    texts = [0, *accumulate(histogram[length] for length in lengths)]
    places = range(1, len(lengths) + 1)
    padded: list[float] = [0, *(lengths[end - 1] * texts[end] for end in places)]
    choices: list[tuple[int, ...]] = [(), *((length,) for length in lengths)]
    for _ in range(count - 1):
        best = [
            min(
                (padded[start] + lengths[end - 1] * (texts[end] - texts[start]), start)
                for start in range(end)
            )
            for end in places
        ]
        padded = [0, *(tokens for tokens, _ in best)]
        choices = [
            (),
            *((*choices[start], length) for (_, start), length in zip(best, lengths, strict=True)),
        ]
    return choices[-1]


def padding_waste(histogram: Sequence[int], buckets: Sequence[int]) -> float:
    """Padding tokens for each token of text; a text longer than all buckets is not padded."""
    tokens = padding = 0
    for length, texts in enumerate(histogram):
        bucket = bucket_of(length, buckets)
        tokens += length * texts
        padding += (bucket - length) * texts if bucket is not None and length else 0
    return padding / max(1, tokens)


def bucket_of(length: int, buckets: Sequence[int]) -> int | None:
    """Return the shortest bucket that a text fits in, or None if it is longer than all."""
    return min((bucket for bucket in buckets if bucket >= length), default=None)

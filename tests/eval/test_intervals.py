import numpy as np
import pytest
from scipy import stats

from pocketbert.eval.intervals import Interval, mcnemar, paired_difference, proportion, retention


def hits(right: int, examples: int) -> np.ndarray:
    return np.arange(examples) < right


def correlated(draw, examples: int, ours: float, theirs: float):
    """Right or wrong for two artifacts that find the same examples hard."""
    hardness = draw.random(examples)
    flips = draw.random(examples)
    return (hardness < ours) ^ (flips < 0.02), (hardness < theirs) ^ (flips < 0.02)


def test_accuracy_interval_covers_the_true_accuracy_as_often_as_it_says():
    draw = np.random.default_rng(1)
    covered = [proportion(draw.random(500) < 0.9, 0.95).holds(0.9) for _ in range(2000)]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_accuracy_interval_is_wilsons():
    z, n, p = stats.norm.ppf(0.975), 80, 0.9
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    interval = proportion(hits(72, n), 0.95)
    assert interval.value == p
    assert (interval.low, interval.high) == pytest.approx((middle - half, middle + half))


def test_an_engine_without_errors_is_not_said_to_be_perfect():
    interval = proportion(hits(50, 50), 0.95)
    assert interval.high == pytest.approx(1)
    assert interval.low < 0.95


@pytest.mark.parametrize("statistic", [paired_difference, retention])
def test_paired_intervals_cover_the_true_value(statistic):
    draw = np.random.default_rng(2)
    everyone = correlated(draw, 1_000_000, 0.86, 0.9)
    truth = {paired_difference: np.subtract, retention: np.divide}[statistic](
        everyone[0].mean(), everyone[1].mean()
    )
    covered = [
        statistic(*correlated(draw, 300, 0.86, 0.9), 0.95, 400).holds(truth) for _ in range(400)
    ]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_pairing_narrows_the_difference():
    draw = np.random.default_rng(3)
    ours, theirs = correlated(draw, 500, 0.86, 0.9)
    paired = paired_difference(ours, theirs, 0.95, 1000)
    shuffled = paired_difference(draw.permutation(ours), theirs, 0.95, 1000)
    assert paired.high - paired.low < 0.8 * (shuffled.high - shuffled.low)
    assert paired.value == pytest.approx(shuffled.value)


def test_same_seed_same_interval():
    pair = correlated(np.random.default_rng(4), 200, 0.8, 0.9)
    assert paired_difference(*pair, 0.95, 300) == paired_difference(*pair, 0.95, 300)


def test_equal_answers_differ_by_nothing():
    right = hits(70, 100)
    assert paired_difference(right, right, 0.95, 200) == Interval(0.0, 0.0, 0.0)
    assert retention(right, right, 0.95, 200) == Interval(1.0, 1.0, 1.0)


def test_retention_of_a_teacher_that_is_never_right_is_finite():
    interval = retention(hits(3, 10), hits(0, 10), 0.95, 200)
    assert np.isfinite([interval.value, interval.low, interval.high]).all()


def test_mcnemar_is_the_exact_binomial_test_on_the_discordant_pairs():
    ours = np.array([True] * 12 + [False] * 3 + [True] * 40 + [False] * 5)
    theirs = np.array([False] * 12 + [True] * 3 + [True] * 40 + [False] * 5)
    two_sided = 2 * stats.binom.cdf(3, 15, 0.5)
    assert mcnemar(ours, theirs) == pytest.approx(two_sided)
    assert mcnemar(theirs, ours) == pytest.approx(two_sided)
    assert mcnemar(ours, ours) == 1.0

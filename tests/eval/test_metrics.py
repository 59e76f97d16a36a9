import numpy as np
import pytest
from sklearn import metrics

from pocketbert.eval.metrics import class_metrics, macro_f1
from pocketbert.eval.reliability import calibration_error


def random_answers(draw, examples, classes):
    truth = draw.integers(0, classes, examples)
    answers = np.where(draw.random(examples) < 0.7, truth, draw.integers(0, classes, examples))
    return truth, answers


def test_figures_are_those_of_the_library():
    draw = np.random.default_rng(0)
    for classes in (2, 3, 20):
        truth, answers = random_answers(draw, 200, classes)
        labels = tuple(f"label {number}" for number in range(classes))
        each = class_metrics(truth, answers, labels)
        f1 = metrics.f1_score(truth, answers, average=None, labels=range(classes))
        assert [one.f1 for one in each.values()] == pytest.approx(f1)
        assert sum(one.examples for one in each.values()) == 200
        mean = macro_f1(truth, answers, classes, 0.95, 200)
        assert mean.value == pytest.approx(f1.mean())
        assert mean.low < mean.value < mean.high


def test_resampled_confusion_matrices_are_resampled_examples():
    draw = np.random.default_rng(1)
    truth, answers = random_answers(draw, 150, 3)
    interval = macro_f1(truth, answers, 3, 0.95, 4000)
    rows = draw.integers(0, 150, (1000, 150))
    values = [metrics.f1_score(truth[row], answers[row], average="macro") for row in rows]
    low, high = np.quantile(values, (0.025, 0.975))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.01)


def test_a_calibrated_answer_has_no_error_and_a_boastful_one_all_of_it():
    sure = np.array([[0.8, 0.2]] * 10)
    truth = np.array([0] * 8 + [1] * 2)
    assert calibration_error(sure, truth) == pytest.approx(0)
    assert calibration_error(np.array([[1.0, 0.0]] * 10), truth) == pytest.approx(0.2)
    # Two bins of half the examples each, off by 0.2 and by 0.1.
    mixed = np.array([[1.0, 0.0]] * 10 + [[0.3, 0.7]] * 10)
    assert calibration_error(mixed, np.concatenate([truth, truth[::-1]])) == pytest.approx(
        (0.2 + 0.5) / 2
    )

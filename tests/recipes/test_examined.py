"""What the doctor found in a run, as the screen shows it."""

import pytest

from pocketbert.eval.doctor.accuracy import AccuracyReport, Layer
from pocketbert.eval.doctor.examine import Examination
from pocketbert.eval.intervals import Interval
from pocketbert.recipes.examined import examined

GAIN = Interval(value=0.0314, low=0.0108, high=0.0523)
LAYER = Layer(
    operators=("layer.0/dense",),
    alone_divergence=0.2,
    alone_agreement=0.75,
    without_gain=GAIN,
    outlier_ratio=9.0,
    saturated_share=0.0,
    step_ratio=0.1,
    weight_error=0.01,
)


def of(metric):
    accuracy = AccuracyReport(
        metric=metric,
        texts=240,
        float_accuracy=0.4321,
        int8_accuracy=0.3876,
        int8_agreement=0.905,
        lost=GAIN,
        layers=(LAYER,),
        suggested=(("layer.0/dense",),),
        suggested_accuracy=0.419,
        suggested_agreement=0.99,
        suggested_gain=GAIN,
        p50_ratio_to_int8=1.1,
        findings=(),
    )
    return Examination(texts=50, speed=(), numerics=(), accuracy=accuracy)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", ("accuracy 38.8 %, float 43.2 %", "accuracy 41.9 %", "+3.1 points (+1.1 to")),
        ("entity F1", ("entity F1 0.388, float 0.432", "entity F1 0.419", "+0.031 (+0.011 to")),
    ],
)
def test_a_metric_is_called_and_written_as_it_is(metric, said, capsys):
    examined(of(metric))
    shown = capsys.readouterr().out
    for words in (*said, f"without: {metric}"):
        assert words in shown
    assert ("accuracy" in shown, "points" in shown) == (metric == "accuracy",) * 2

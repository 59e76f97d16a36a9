from dataclasses import replace

import numpy as np
import pytest

from pocketbert.compress.errors import BundleError, DataError
from pocketbert.eval.intervals import paired_difference, retention
from pocketbert.eval.paired import compare_predictions
from pocketbert.eval.pooled import pooled_difference
from pocketbert.eval.predictions import Predictions, read_predictions, write_predictions
from pocketbert.eval.slices import slices
from pocketbert.eval.tasks.text_classification import Accuracy

from .conftest import CONFIG, LABELS


def predictions(right, name="ours", sure=0.9):
    """Predictions with the given answers right; the true labels alternate."""
    right = np.asarray(right, dtype=bool)
    truth = np.arange(len(right)) % 2
    answers = np.where(right, truth, 1 - truth)
    logits = np.log(np.where(np.arange(2) == answers[:, None], sure, 1 - sure))
    return Predictions(
        artifact=name,
        engine="made up",
        labels=LABELS,
        texts=tuple(f"text {number}" for number in range(len(right))),
        truth=truth,
        tokens=np.arange(len(right)) + 1,
        logits=logits.astype(np.float32),
        columns={"language": tuple("ende"[2 * (number % 2) :][:2] for number in range(len(right)))},
    )


def test_predictions_survive_the_disk(tmp_path):
    before = predictions([True, False, True])
    write_predictions(before, tmp_path / "kept.parquet")
    after = read_predictions(tmp_path / "kept.parquet")
    for name in ("artifact", "engine", "labels", "texts", "columns"):
        assert getattr(after, name) == getattr(before, name)
    for name in ("truth", "tokens", "logits", "each"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_another_table_is_no_predictions(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    for name in ("other.parquet", "text.parquet"):
        with pytest.raises(DataError, match="holds no predictions"):
            read_predictions(tmp_path / name)
    with pytest.raises(DataError, match="is no file, expected predictions"):
        read_predictions(tmp_path / "nowhere.parquet")


def test_nan_is_refused():
    with pytest.raises(BundleError, match="1 of 3 texts with NaN or infinity, first 'text 1'"):
        replace(predictions([True] * 3), logits=np.float32([[0, 1], [np.nan, 1], [0, 1]]))


def test_flips_are_found_and_the_worst_stands_first():
    theirs = predictions([True] * 8, "theirs", sure=0.8)
    ours = predictions([True, True, False, False, True, True, True, True])
    ours.logits[2] *= 2  # surer of its mistake
    found = compare_predictions([ours], [theirs], CONFIG)
    assert (found.to_wrong, found.to_right) == (2, 0)
    assert [flip.text for flip in found.worst] == ["text 2", "text 3"]
    assert found.worst[0].probability_lost > found.worst[1].probability_lost > 0
    assert (found.worst[1].label, found.worst[1].ours) == ("good", "bad")
    assert found.agreement.value == 6 / 8
    assert found.mcnemar_p == 0.5


def test_the_words_say_no_more_than_the_interval():
    draw = np.random.default_rng(0)
    theirs = draw.random(400) < 0.9
    close = theirs.copy()
    close[[*np.nonzero(theirs)[0][:3], *np.nonzero(~theirs)[0][:3]]] ^= True
    worse = theirs & (draw.random(400) < 0.8)
    right = [predictions(one) for one in (theirs, close, worse)]
    alike = compare_predictions([right[1]], [right[0]], CONFIG)
    assert alike.verdict == "no measurable difference"
    assert "400 examples leave a gate within that distance undecided" in alike.can_tell
    less = compare_predictions([right[2]], [right[0]], CONFIG)
    assert less.verdict == "less accurate"
    assert compare_predictions([right[0]], [right[2]], CONFIG).verdict == "more accurate"
    half = (less.difference.high - less.difference.low) / 2
    assert f"would take some {int(np.ceil(400 * (half / 0.01) ** 2)):,}" in less.can_tell


def test_other_examples_labels_and_truths_are_refused():
    ours = predictions([True] * 4)
    for other, complaint in (
        (predictions([True] * 3), "was asked 3 texts, 3 of them the same as the 4"),
        (
            replace(ours, labels=("no", "yes")),
            "with the labels no, yes, expected text-classification with bad, good",
        ),
        (replace(ours, truth=1 - ours.truth), "4 texts of ours have another true label"),
    ):
        with pytest.raises(DataError, match=complaint):
            compare_predictions([ours], [other], CONFIG)


def test_one_seed_is_the_paired_bootstrap():
    draw = np.random.default_rng(1)
    ours, theirs = draw.random(300) < 0.85, draw.random(300) < 0.9
    found = compare_predictions([predictions(ours)], [predictions(theirs)], CONFIG)
    expected = paired_difference(ours, theirs, 0.95, 2000)
    assert found.difference.value == pytest.approx(expected.value)
    assert found.difference.low == pytest.approx(expected.low, abs=0.01)
    assert found.retention.high == pytest.approx(
        retention(ours, theirs, 0.95, 2000).high, abs=0.015
    )


def test_seeds_that_differ_widen_the_interval():
    draw = np.random.default_rng(2)
    measure = Accuracy(LABELS)
    theirs = (draw.random(500) < 0.9)[None]
    alike = draw.random((3, 500)) < 0.85
    apart = draw.random((3, 500)) < np.array([[0.75], [0.85], [0.95]])
    widths = [
        interval.high - interval.low
        for interval in (
            pooled_difference(measure, ours[..., None], theirs[..., None], 0.95, 1000)
            for ours in (alike, apart)
        )
    ]
    assert widths[1] > 2 * widths[0]
    found = compare_predictions(
        [predictions(one) for one in apart], [predictions(theirs[0])], CONFIG
    )
    assert found.seeds == (3, 1)
    assert found.mcnemar_p is None
    assert found.our_accuracy == pytest.approx(apart.mean())


def test_slices_compare_within_themselves():
    ours, theirs = predictions([True, False] * 10), predictions([True] * 20, "theirs")
    found = {(one.by, one.name): one for one in slices(ours, CONFIG, theirs)}
    assert found["language", "en"].difference.value == 0
    assert found["language", "de"].difference.value == -1
    assert found["class", "good"].accuracy.value == 0
    assert [one.examples for key, one in found.items() if key[0] == "tokens"] == [8, 8, 4]


def test_a_slice_of_one_example_has_no_difference():
    ours, theirs = predictions([True] * 9), predictions([True] * 9, "theirs")
    last = [one for one in slices(ours, CONFIG, theirs) if one.by == "tokens"][-1]
    assert (last.name, last.examples, last.difference) == ("9 to 16", 1, None)

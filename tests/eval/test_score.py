import json

import pytest

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.eval.score import score_bundle

from .conftest import CONFIG

ROWS = [("dull film", "bad"), ("bright film", "good"), ("gripping film", "good")]


@pytest.fixture
def table(tmp_path):
    def write(rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps({"text": t, "label": x}) + "\n" for t, x in rows))
        return path

    return write


def test_accuracy_and_recall_are_counted(bundle_folder, table):
    # The bundle's engine knows `dull` and `bright`; of `gripping` it says the first label.
    result = score_bundle(bundle_folder, table(ROWS), columns=ColumnsConfig(), config=CONFIG)
    assert result.examples == 3
    assert result.accuracy.value == pytest.approx(2 / 3)
    assert {label: recall.value for label, recall in result.recall.items()} == {
        "bad": 1.0,
        "good": 0.5,
    }
    assert result.counts == {"bad": 1, "good": 2}
    assert 0 < result.p50_ms <= result.p90_ms <= result.p99_ms


def test_a_label_that_the_table_lacks_has_no_recall(bundle_folder, table):
    result = score_bundle(bundle_folder, table(ROWS[1:]), columns=ColumnsConfig(), config=CONFIG)
    assert set(result.recall) == {"good"}


def test_an_unknown_label_is_named(bundle_folder, table):
    with pytest.raises(DataError, match="row 1: the label is 'great'"):
        score_bundle(
            bundle_folder, table([("a film", "great")]), columns=ColumnsConfig(), config=CONFIG
        )


def test_an_empty_table_is_refused(bundle_folder, table):
    with pytest.raises(DataError, match="has no rows"):
        score_bundle(bundle_folder, table([]), columns=ColumnsConfig(), config=CONFIG)

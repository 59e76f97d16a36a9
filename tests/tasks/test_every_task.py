"""What every kind of task keeps to, whatever it is; a new row of the tables is tested here too."""

import json
import math
from dataclasses import asdict, fields, is_dataclass

import numpy as np
import onnx
import pytest

from pocketbert.compress.config import TASK_KINDS, ColumnsConfig
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import BundleError, DataError
from pocketbert.compress.labelling import LABELLINGS
from pocketbert.compress.tasks import TASKS as LEARNED
from pocketbert.deploy.bundle import MANIFEST, read_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.tasks import TASKS
from pocketbert.eval.accuracy import predict, truth_of
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.predictions import read_predictions, write_predictions
from pocketbert.eval.score import Table, measure_table, score
from pocketbert.eval.tasks import MEASURES
from pocketbert.recipes.screen import example_text

from .conftest import CASES, prepare, write_rows

QUICK = EvaluateConfig(resamples=100, latency_texts=4, latency_rounds=1)


@pytest.fixture(params=CASES)
def chain(request, chain_of):
    return chain_of(request.param)


@pytest.fixture
def engine(chain):
    return Engine.open(chain.bundle)


def _needs_labels(chain):
    if chain.case.wrong_label is None:
        pytest.skip("its rows have no labels")


def test_every_task_stands_in_every_table():
    whole_way = {kind for kind, row in TASK_KINDS.items() if row.to_engine}
    assert set(TASKS) == set(MEASURES) == whole_way
    assert set(LEARNED) == set(LABELLINGS) == set(TASK_KINDS)
    assert {one.task.kind for one in CASES.values()} == whole_way


def test_it_is_learned_and_kept_through_int8(chain, engine):
    description = load_description(chain.root / "data")
    test = load_split(chain.root / "data", "test")
    truth = truth_of(test, description, chain.root / "exported")
    measure = MEASURES[engine.kind](engine.labels)
    teacher = Engine.from_model_folder(chain.root / "teacher/model")
    found = {
        name: measure.value(predict(one, test.texts, truth, name), truth)
        for name, one in (("teacher", teacher), ("engine", engine))
    }
    assert found["teacher"] > 0.8
    assert found["engine"] > 0.7
    assert chain.summaries["quantize"]["quantized_matmuls"] > 0
    assert selftest(chain.bundle).passed


def test_answers_are_dataclasses_that_json_can_say(chain, engine):
    texts = load_split(chain.root / "data", "test").texts[:5]
    answers = engine(texts)
    assert len({type(answer) for answer in answers}) == 1
    assert all(is_dataclass(answer) and fields(answer) for answer in answers)
    assert json.loads(json.dumps([asdict(answer) for answer in answers]))
    assert engine(texts, batch_size=5) == answers or _close(engine, texts)


def _close(engine, texts):
    alone, together = engine.logits(texts), engine.logits(texts, batch_size=5)
    return np.allclose(alone, together, atol=1e-3, equal_nan=True)


def test_an_unknown_label_is_named_with_its_row(chain, tmp_path):
    _needs_labels(chain)
    rows = [*chain.case.rows[:9], chain.case.rows[9] | {"label": chain.case.wrong_label}]
    with pytest.raises(DataError, match=r"rows\.jsonl row 10: .*" + chain.case.complaint):
        prepare(chain.case, rows, tmp_path)


def test_an_unknown_label_is_named_when_a_bundle_is_scored(chain, tmp_path):
    _needs_labels(chain)
    rows = [chain.case.rows[0] | {"label": chain.case.wrong_label}]
    table = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=r"row 1: .*" + chain.case.complaint):
        measure_table(chain.bundle, Table(path=table, columns=chain.case.columns), config=QUICK)


def test_wrong_columns_are_named(chain, tmp_path):
    rows = [{"text": row["text"], "stars": 1} for row in chain.case.rows[:20]]
    missing = "label" if "label" in chain.case.rows[0] else "pair"
    with pytest.raises(DataError, match=f"has the columns 'text', 'stars', expected '{missing}'"):
        prepare(chain.case, rows, tmp_path)


def test_wrong_columns_are_named_when_a_bundle_is_scored(chain, tmp_path):
    rows = [{"text": row["text"], "stars": 1} for row in chain.case.rows[:20]]
    missing = "label" if "label" in chain.case.rows[0] else "pair"
    table = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=f"has the columns 'text', 'stars', expected '{missing}'"):
        measure_table(chain.bundle, Table(path=table, columns=chain.case.columns), config=QUICK)


def test_an_empty_text_is_named_with_its_row(chain, tmp_path):
    rows = [*chain.case.rows[:9], chain.case.rows[9] | {"text": " "}]
    with pytest.raises(DataError, match=r"rows\.jsonl row 10: the text is empty"):
        prepare(chain.case, rows, tmp_path)


def test_a_split_of_one_label_is_refused(chain, tmp_path):
    _needs_labels(chain)
    nothing = chain.case.nothing
    label = chain.case.rows[0]["label"] if nothing is None else nothing
    rows = [row | {"label": label} for row in chain.case.rows]
    with pytest.raises(DataError, match="split has"):
        prepare(chain.case, rows, tmp_path)


def test_an_empty_input_is_answered_or_refused(chain, engine):
    assert engine([]) == []
    if chain.case.refuses_empty:
        for empty in (("", "a film"), ("a film", " ")):
            with pytest.raises(DataError, match=r"the (question|context) of .* is empty"):
                engine([empty])
        return
    [answer] = engine([("", "") if engine.pairs else ""])
    numbers = [value for value in asdict(answer).values() if isinstance(value, float)]
    assert all(math.isfinite(number) for number in numbers)


def test_an_over_long_input_is_cut_off(chain, engine):
    part = chain.case.rows[0]["text"]
    long = " ".join([part] * 40)
    longer = long + " story"
    second = chain.case.rows[0].get("pair")
    [answer, again] = engine([(text, second) if engine.pairs else text for text in (long, longer)])
    assert answer == again


def test_nothing_but_texts_is_needed_for_a_prediction(chain, engine):
    """Labels are for training: an engine opens and answers where there is no data folder."""
    bundle = read_bundle(chain.bundle)
    assert not [name for name in bundle.manifest.sha256 if "jsonl" in name]
    row = chain.case.rows[0]
    assert len(engine([(row["text"], row["pair"]) if engine.pairs else row["text"]])) == 1


def test_single_texts_and_pairs_are_not_mixed_up(chain, engine, tmp_path):
    other = "a film" if engine.pairs else ("a film", "a story")
    with pytest.raises(DataError, match=r"expected (two strings|one string)"):
        engine([other])
    table = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "pair": "b", "label": "good"}])
    of_two = engine.pairs or chain.case.vectors
    columns = ColumnsConfig(pair=None if of_two else "pair")
    assert (r"\t" in example_text(chain.bundle)) == bool(engine.pairs)
    with pytest.raises(DataError, match="--pair-column"):
        measure_table(chain.bundle, Table(path=table, columns=columns), config=QUICK)


def test_a_bundle_of_a_task_from_the_future_is_refused(chain, tmp_path):
    manifest = json.loads((chain.bundle / MANIFEST).read_text()) | {"task": "mind-reading"}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="is of the task 'mind-reading', this pocketbert knows"):
        read_bundle(tmp_path)


def test_only_what_answers_whole_texts_is_cut_to_the_first_position(chain):
    per_word = TASK_KINDS[chain.case.task.kind].per_word
    # Of vectors the mean of all positions; a decoder reads them all.
    reads_all = per_word or chain.case.vectors or chain.case.generates
    assert (chain.summaries["export"]["edits"]["first_position_only"] == 0) == reads_all
    [output] = onnx.load(chain.root / "exported/model.onnx").graph.output
    dimensions = [one.dim_param or one.dim_value for one in output.type.tensor_type.shape.dim]
    assert dimensions[:2] == (["batch", "seq"] if per_word else ["batch", dimensions[1]])


def test_it_is_scored_on_a_table(chain, tmp_path):
    table = write_rows(tmp_path / "rows.jsonl", chain.case.rows[:60])
    predictions, timing = measure_table(
        chain.bundle, Table(path=table, columns=chain.case.columns), config=QUICK
    )
    write_predictions(predictions, tmp_path / "kept.parquet")
    kept = read_predictions(tmp_path / "kept.parquet")
    assert (kept.texts, kept.kind) == (predictions.texts, chain.case.task.kind)
    np.testing.assert_array_equal(kept.logits, predictions.logits)
    result = score(kept, QUICK)
    assert result.examples == (120 if chain.case.vectors else 60)  # two texts a row
    assert timing.p50_ms > 0
    assert result.metric == MEASURES[chain.case.task.kind].name
    assert 0.7 < result.accuracy.value <= 1
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high

"""The contract of the kinds of tasks whose recipes end with the teacher."""

import json

import pytest

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import TASK_KINDS, ColumnsConfig, DataConfig, TaskConfig
from pocketbert.compress.data import load_split, prepare_data
from pocketbert.compress.errors import BundleError, DataError
from pocketbert.compress.folder import load_tokenizer
from pocketbert.deploy.bundle import MANIFEST, read_bundle

from ..conftest import made_up_reviews
from .conftest import write_rows

# Kind of task -> a task of it. None of them has labels, so that none can be unknown.
TASKS = {"masked-language-model": TaskConfig(kind="masked-language-model", max_length=16)}


@pytest.fixture(params=TASKS)
def task(request):
    return TASKS[request.param]


def prepared(task, rows, folder, **columns):
    table = write_rows(folder / "rows.jsonl", rows)
    config = DataConfig(
        train=str(table), validation=0.2, test=0.2, columns=ColumnsConfig(**columns)
    )
    return prepare_data(config=config, task=task, out=folder)


def rows_of(count):
    return [
        {"text": f"{row['text']} {number}"} for number, row in enumerate(made_up_reviews(count, 0))
    ]


def test_every_kind_without_an_engine_is_tested():
    unlabelled = {kind for kind, row in TASK_KINDS.items() if not row.labelled}
    assert set(TASKS) == {kind for kind, row in TASK_KINDS.items() if not row.to_engine}
    assert set(TASKS) <= unlabelled


def test_texts_without_labels_are_enough(task, tmp_path):
    prepared(task, rows_of(40), tmp_path)
    assert len(load_split(tmp_path, "train")) > 20


def test_an_empty_text_is_named_with_its_row(task, tmp_path):
    rows = [*rows_of(9), {"text": " "}]
    with pytest.raises(DataError, match=r"rows\.jsonl row 10: the text is empty"):
        prepared(task, rows, tmp_path)


def test_wrong_columns_are_named(task, tmp_path):
    with pytest.raises(DataError, match="has the columns 'text', expected 'review'"):
        prepared(task, rows_of(20), tmp_path, text="review")


def test_an_over_long_text_is_cut_off(task, tiny_checkpoint, tmp_path):
    long = [{"text": f"{row['text']} " * 30} for row in rows_of(40)]
    prepared(task, long, tmp_path)
    examples = load_split(tmp_path, "train")
    tokens = tokenize(examples, load_tokenizer(tiny_checkpoint), task.max_length)
    assert {len(ids) for ids in tokens.input_ids} == {task.max_length}


def test_a_bundle_of_it_is_refused(task, tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps({"task": task.kind}))
    with pytest.raises(BundleError, match=f"is of the task '{task.kind}', this pocketbert knows"):
        read_bundle(tmp_path)

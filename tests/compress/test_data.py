"""The data stage, from tables to split files."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from pocketbert.compress.config import ColumnsConfig, DataConfig, TaskConfig
from pocketbert.compress.data import load_description, load_split, prepare_data
from pocketbert.compress.errors import DataError
from pocketbert.compress.split import normalise

SPLITS = ("train", "validation", "test")
TASK = TaskConfig(kind="text-classification", labels=("bad", "good"), max_length=64)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def reviews(count: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"text": f"review number {n}", "label": ("bad", "good")[n % 2]}
        for n in range(start, start + count)
    ]


def prepare(folder, config, task=TASK):
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return prepare_data(config=config, task=task, out=out), out


def test_held_out_fractions(tmp_path):
    train = write(tmp_path / "all.jsonl", reviews(1000))
    summary, out = prepare(tmp_path, DataConfig(train=train, validation=0.1, test=0.2))
    examples = {name: load_split(out, name) for name in SPLITS}
    texts = [text for name in SPLITS for text in examples[name].texts]
    assert sorted(texts) == sorted(row["text"] for row in reviews(1000))
    assert summary["sizes"] == {name: len(examples[name]) for name in SPLITS}
    assert 140 < len(examples["test"]) < 260
    for name in SPLITS:
        assert examples[name].labels.dtype == np.int64
        expected = [int(text.split()[-1]) % 2 for text in examples[name].texts]
        assert examples[name].labels.tolist() == expected
        assert summary["class_counts"][name]["good"] == sum(expected)


def test_description_and_fingerprint(tmp_path):
    train = write(tmp_path / "all.jsonl", reviews(200))
    config = DataConfig(train=train, validation=0.2, test=0.2)
    summary, out = prepare(tmp_path, config)
    assert json.loads((out / "data.json").read_text()) == summary
    described = load_description(out)
    assert described.labels == ("bad", "good")
    assert described.max_length == 64
    assert described.sizes == summary["sizes"]
    again, _ = prepare(tmp_path, config)
    assert again["fingerprint"] == described.fingerprint
    write(tmp_path / "all.jsonl", [*reviews(199), {"text": "another", "label": "bad"}])
    changed, _ = prepare(tmp_path, config)
    assert changed["fingerprint"] != described.fingerprint
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["data.json", *(f"{name}.jsonl" for name in SPLITS)]
    )


def test_duplicates_stay_in_one_split(tmp_path):
    rows = [*reviews(300), *({**r, "text": r["text"].upper() + " "} for r in reviews(300))]
    train = write(tmp_path / "all.jsonl", rows)
    summary, out = prepare(tmp_path, DataConfig(train=train, validation=0.2, test=0.2))
    seen = [{normalise(text) for text in load_split(out, name).texts} for name in SPLITS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 300
    assert sum(summary["sizes"].values()) == 600


def test_what_other_sources_hold_out_is_dropped_and_counted(tmp_path):
    train = write(tmp_path / "train.jsonl", [*reviews(100), {"text": "fine", "label": "good"}])
    validation = write(tmp_path / "validation.jsonl", reviews(20, start=95))
    test = write(tmp_path / "test.jsonl", [*reviews(10, start=110), {"text": "FINE", "label": 1}])
    config = DataConfig(train=train, validation=validation, test=test)
    summary, out = prepare(tmp_path, config)
    assert summary["sizes"] == {"train": 95, "validation": 15, "test": 11}
    assert summary["dropped_duplicates"] == {"train": 6, "validation": 5}
    assert "fine" not in load_split(out, "train").texts
    assert load_split(out, "test").texts[-1] == "FINE"


def test_one_split_elsewhere_and_one_held_out(tmp_path):
    train = write(tmp_path / "train.jsonl", reviews(200))
    test = write(tmp_path / "test.jsonl", reviews(50))
    summary, out = prepare(tmp_path, DataConfig(train=train, validation=0.2, test=test))
    assert summary["sizes"]["test"] == 50
    assert summary["sizes"]["train"] + summary["sizes"]["validation"] == 150
    assert summary["dropped_duplicates"]["train"] == 50
    assert load_split(out, "validation").texts


@pytest.mark.parametrize(
    ("rows", "labels", "found"),
    [
        (reviews(4), ("bad", "good"), "split has no examples"),
        ([], ("bad", "good"), "split has no examples"),
        ([{**r, "label": "bad"} for r in reviews(100)], ("bad", "good"), "of 'bad' only"),
        (reviews(100), ("bad", "good", "mixed"), "no example of 'mixed'"),
        (reviews(100), ("bad", "best"), "the label is 'good'"),
    ],
)
def test_unusable_splits(tmp_path, rows, labels, found):
    task = TaskConfig(kind="text-classification", labels=labels)
    config = DataConfig(train=write(tmp_path / "all.jsonl", rows), validation=0.1, test=0.1)
    with pytest.raises(DataError, match=found):
        prepare(tmp_path, config, task)
    assert not (tmp_path / "out" / "data.json").exists()


def test_unquoted_ratings_without_header(tmp_path):
    path = tmp_path / "ratings.txt"
    lines = [f"{n}\t{(-1) ** n * 1.5}\tit's \"number {n}" for n in range(100)]
    path.write_text("\n".join(lines))
    config = DataConfig(
        train=str(path),
        validation=0.2,
        test=0.2,
        format="tsv",
        columns=ColumnsConfig(text=2, label=1),
        label_threshold=0.0,
    )
    summary, out = prepare(tmp_path, config)
    assert sum(summary["sizes"].values()) == 100
    assert load_split(out, "train").texts[0].startswith("it's \"number")


def test_fingerprint_covers_the_split_files(tmp_path):
    train = write(tmp_path / "all.jsonl", reviews(100))
    summary, out = prepare(tmp_path, DataConfig(train=train, validation=0.2, test=0.2))
    whole = b"".join(f"{n}\n".encode() + (out / f"{n}.jsonl").read_bytes() for n in SPLITS)
    assert summary["fingerprint"] == hashlib.sha256(whole).hexdigest()


def test_importing_the_stage_is_light():
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'requests', 'filelock'}"
    code = f"import pocketbert.compress.data, sys; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

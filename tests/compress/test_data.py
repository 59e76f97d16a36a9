"""The data stage, from tables to split files."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

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


def test_distinct_texts_count_once_and_contradictory_ones_not_at_all(tmp_path):
    again = [{**row, "text": row["text"].upper()} for row in reviews(200)]
    odd = {"text": reviews(1)[0]["text"], "label": "good"}
    assert odd["label"] != reviews(1)[0]["label"]
    train = write(tmp_path / "all.jsonl", [*reviews(200), *again, odd])
    config = DataConfig(train=train, validation=0.2, test=0.2, distinct=True)
    summary, out = prepare(tmp_path, config)
    texts = [text for name in SPLITS for text in load_split(out, name).texts]
    assert sorted(texts) == sorted(row["text"] for row in reviews(200)[1:])
    assert summary["dropped_duplicates"] == {"train": 202, "validation": 0}


def test_a_training_split_is_cut_to_a_part_that_its_texts_decide(tmp_path):
    train = write(tmp_path / "all.jsonl", reviews(300))
    whole, out = prepare(tmp_path, DataConfig(train=train, validation=0.2, test=0.2))
    everything = {name: load_split(out, name).texts for name in SPLITS}
    shuffled = write(tmp_path / "shuffled.jsonl", reviews(300)[::-1])
    config = DataConfig(train=train, validation=0.2, test=0.2, max_train=60)
    for source in (train, shuffled):
        _, out = prepare(tmp_path, replace(config, train=source))
        found = {name: load_split(out, name).texts for name in SPLITS}
        for name in ("validation", "test"):
            assert sorted(found[name]) == sorted(everything[name])
        part = [text for text in everything["train"] if text in found["train"]]
        assert len(part) == len(found["train"]) == 60
        assert part == (found["train"] if source == train else found["train"][::-1])
    summary, _ = prepare(tmp_path, replace(config, max_train=1000))
    assert summary["fingerprint"] == whole["fingerprint"]


def test_neighbours_stay_in_one_split(tmp_path):
    train = write(tmp_path / "all.jsonl", reviews(400))
    config = DataConfig(train=train, validation=0.2, test=0.2, block=20)
    _, out = prepare(tmp_path, config)
    numbers = {
        name: {int(text.split()[-1]) // 20 for text in load_split(out, name).texts}
        for name in SPLITS
    }
    assert sum(map(len, numbers.values())) == len(set.union(*numbers.values())) == 20
    for name in SPLITS:
        assert len(load_split(out, name)) == 20 * len(numbers[name]) > 0
    # A text that comes again in another block is not learned from where it is held out.
    write(tmp_path / "all.jsonl", [*reviews(400), *reviews(400)])
    _, out = prepare(tmp_path, config)
    texts = [set(load_split(out, name).texts) for name in SPLITS]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 400


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

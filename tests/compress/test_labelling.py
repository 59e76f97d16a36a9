"""What a label may be, for each kind of task, and what is said where it is not."""

import pytest

from pocketbert.compress.config import ColumnsConfig, DataConfig, TaskConfig
from pocketbert.compress.data import load_split, prepare_data
from pocketbert.compress.errors import DataError
from pocketbert.compress.labelling import LABELLINGS
from pocketbert.compress.tables import Row, read_table
from pocketbert.compress.word_tags import Span

CONLL = """-DOCSTART- -X- O O

Anna NNP I-NP B-PER
Karenina NNP I-NP I-PER
met VBD I-VP O
Levin NNP I-NP I-PER
. . O O

In\tB-LOC
Paris I-ORG
"""


def read(kind, label, labels=("a", "b"), text="a film"):
    return LABELLINGS[kind].read([Row(text, label, 7)], labels, None, "t.jsonl")


@pytest.mark.parametrize(
    ("given", "number"), [(1, 1.0), ("-2.5", -2.5), (0.0, 0.0), (" 3 ", 3.0), ("1e3", 1000.0)]
)
def test_numbers(given, number):
    assert read("text-regression", given) == [number]


@pytest.mark.parametrize("given", [None, True, "", "much", "nan", float("inf"), [1]])
def test_what_is_no_number_is_refused(given):
    with pytest.raises(DataError, match=r"t\.jsonl row 7: the label is .*, expected a number"):
        read("text-regression", given)


def test_the_number_that_stands_for_no_label_is_refused():
    with pytest.raises(DataError, match="which stands for no label"):
        read("text-regression", -100)


@pytest.mark.parametrize(
    ("given", "hot"),
    [([], [0, 0]), ("", [0, 0]), ("b", [0, 1]), (["b", "a"], [1, 1]), (" a , b,", [1, 1])],
)
def test_any_number_of_labels(given, hot):
    assert read("multi-label-classification", given) == [hot]


@pytest.mark.parametrize(("given", "said"), [("c", "some of 'a', 'b'"), (1, "a list of names")])
def test_what_is_none_of_the_labels_is_refused(given, said):
    with pytest.raises(DataError, match=f"row 7: the labels are .*{said}"):
        read("multi-label-classification", given)


def test_spans_are_sorted_and_numbered():
    spans = [{"start": 2, "end": 6, "label": "b"}, {"start": 0, "end": 1, "label": "a"}]
    assert read("token-classification", spans) == [
        [{"start": 0, "end": 1, "label": 0}, {"start": 2, "end": 6, "label": 1}]
    ]


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ("PER", "expected a list of spans"),
        (["PER"], "a span is 'PER', expected"),
        ([{"start": 0, "end": 1}], "a span is .*, expected"),
        ([{"start": 0, "end": 7, "label": "a"}], "a span goes from 0 to 7, .* which has 6"),
        ([{"start": 3, "end": 3, "label": "a"}], "no empty span"),
        ([{"start": 0.0, "end": 3, "label": "a"}], "a span goes from 0.0 to 3"),
        (
            [{"start": 0, "end": 3, "label": "a"}, {"start": 2, "end": 4, "label": "b"}],
            "the spans 0-3 and 2-4 overlap",
        ),
    ],
)
def test_wrong_spans_are_refused(spans, said):
    with pytest.raises(DataError, match=f"row 7: .*{said}"):
        read("token-classification", spans)


def test_a_conll_file_is_read_as_texts_with_spans(tmp_path):
    path = tmp_path / "names.conll"
    path.write_text(CONLL)
    first, second = read_table(path, ColumnsConfig())
    assert (first.text, first.number) == ("Anna Karenina met Levin .", 3)
    found = [(first.text[s["start"] : s["end"]], s["label"]) for s in first.label]
    assert found == [("Anna Karenina", "PER"), ("Levin", "PER")]
    assert (second.text, second.number) == ("In Paris", 9)
    assert [(span["start"], span["end"], span["label"]) for span in second.label] == [
        (0, 2, "LOC"),
        (3, 8, "ORG"),
    ]


@pytest.mark.parametrize("line", ["Anna", "Anna PER", "Anna B-"])
def test_a_word_without_a_tag_is_refused(tmp_path, line):
    path = tmp_path / "names.conll"
    path.write_text(f"{CONLL}{line}\n")
    with pytest.raises(DataError, match=rf"names\.conll row 11 is '{line}', expected a word"):
        list(read_table(path, ColumnsConfig()))


def test_pairs_stay_together(tmp_path):
    """A pair falls into one split as a whole, and is a duplicate only of the same pair."""
    lines = ["first\tsecond\tlabel"]
    lines += [f"text {n // 2}\tother {n % 50}\t{n % 2}" for n in range(400)]
    lines += lines[1:40]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(lines))
    config = DataConfig(
        train=str(path),
        validation=0.2,
        test=0.2,
        columns=ColumnsConfig(text="first", pair="second"),
    )
    task = TaskConfig(kind="text-classification", labels=("no", "yes"))
    assert prepare_data(config=config, task=task, out=tmp_path)["pairs"]
    splits = [load_split(tmp_path, name).texts for name in ("train", "validation", "test")]
    assert all(isinstance(text, tuple) and len(text) == 2 for texts in splits for text in texts)
    pairs = [set(texts) for texts in splits]
    assert sum(map(len, pairs)) == len(set.union(*pairs)) == 400


def test_an_empty_second_text_is_named(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("text,pair,label\na film,,1\n")
    with pytest.raises(DataError, match=r"row 2: the pair is empty, .*data\.columns\.pair"):
        list(read_table(path, ColumnsConfig(pair="pair")))


def test_labels_keep_their_form_on_disk(tmp_path):
    path = tmp_path / "names.conll"
    path.write_text("\n\n".join(f"Anna{n} B-PER\nmet O" for n in range(60)))
    task = TaskConfig(kind="token-classification", labels=("PER",))
    config = DataConfig(train=str(path), validation=0.2, test=0.2)
    said = prepare_data(config=config, task=task, out=tmp_path)
    assert said["labels"] == ["O", "B-PER", "I-PER"]
    train = load_split(tmp_path, "train")
    assert all(
        spans == (Span(0, text.index(" "), 0),)
        for text, spans in zip(train.texts, train.labels, strict=True)
    )

"""Words with tags behind a slash, as the corpus of the People's Daily has them."""

import pytest

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.compress.tables import read_table

LABELS = ("nr", "ns", "nt")


def read(folder, content, labels=LABELS):
    path = folder / "tagged.txt"
    path.write_text(content, encoding="utf-8")
    return list(read_table(path, ColumnsConfig(), "tagged", labels=labels))


def test_neighbours_of_one_tag_are_one_entity(tmp_path):
    (row,) = read(tmp_path, "国家/n  主席/n  江/nr  泽民/nr  在/p  北京/ns  、/w  上海/ns\n")
    assert row.text == "国家主席江泽民在北京、上海"
    found = [(row.text[span["start"] : span["end"]], span["label"]) for span in row.label]
    assert found == [("江泽民", "nr"), ("北京", "ns"), ("上海", "ns")]


def test_neighbours_of_two_tags_are_two(tmp_path):
    (row,) = read(tmp_path, "新华社/nt 兰/nr")
    assert [(span["start"], span["end"]) for span in row.label] == [(0, 3), (3, 4)]


def test_sentences_are_cut_behind_their_ends(tmp_path):
    rows = read(tmp_path, "好/a 。/w 中国/ns ！/w\n\n你/r ？/w 我/r\n")
    assert [(row.text, row.number) for row in rows] == [
        ("好。", 1), ("中国！", 1), ("你？", 3), ("我", 3),
    ]  # fmt: skip
    assert [len(row.label) for row in rows] == [0, 1, 0, 0]


def test_only_the_tasks_labels_count(tmp_path):
    (row,) = read(tmp_path, "江/nr 在/p 北京/ns", ("ns",))
    assert row.label == [{"start": 2, "end": 4, "label": "ns"}]


def test_a_slash_may_be_a_word(tmp_path):
    (row,) = read(tmp_path, "//w １/２/m")
    assert row.text == "/１/２"


@pytest.mark.parametrize("line", ["北京", "北京/", "/ns"])
def test_a_word_without_its_tag_is_named(tmp_path, line):
    with pytest.raises(DataError, match=f"tagged.txt row 2 has '{line}', expected words with"):
        read(tmp_path, f"好/a\n中国/ns {line}\n")

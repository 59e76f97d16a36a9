"""Reading tables: what is accepted, and that every complaint names file and row."""

import pytest

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.compress.tables import Row, read_table

NAMED = ColumnsConfig()
GOOD = [Row("fine film", "good", 2), Row("poor film", "bad", 3)]


def table(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return path


def complaint(path, columns=NAMED, **options):
    with pytest.raises(DataError) as caught:
        list(read_table(path, columns, **options))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,text,label\n1,fine film,good\n2,poor film,bad\n"),
        ("windows.csv", "text,label\r\nfine film,good\r\npoor film,bad\r\n"),
        ("spreadsheet.csv", "\ufefftext,label\nfine film,good\npoor film,bad"),
        ("a.tsv", "label\ttext\ngood\tfine film\nbad\tpoor film\n"),
        ("a.CSV", "text,label\nfine film,good\npoor film,bad\n\n"),
    ],
)
def test_columns_by_name(tmp_path, name, content):
    assert list(read_table(table(tmp_path, name, content), NAMED)) == GOOD


def test_columns_by_position_mean_no_header(tmp_path):
    path = table(tmp_path, "a.txt", "1\t-2.5\t\"unbalanced, it's\n2\t3\tfine\n")
    rows = list(read_table(path, ColumnsConfig(text=2, label=1), "tsv"))
    assert rows == [Row("\"unbalanced, it's", "-2.5", 1), Row("fine", "3", 2)]


def test_row_is_the_line_where_a_quoted_text_begins(tmp_path):
    path = table(tmp_path, "a.csv", 'text,label\n"two\nlines",good\n\n"a ""b""",bad\n')
    assert list(read_table(path, NAMED)) == [Row("two\nlines", "good", 2), Row('a "b"', "bad", 5)]


def test_json_lines(tmp_path):
    content = '{"text": "fine\u2028film", "label": 1}\n\n{"label": "bad", "text": "poor"}\r\n'
    rows = list(read_table(table(tmp_path, "a.jsonl", content), NAMED))
    assert rows == [Row("fine\u2028film", 1, 1), Row("poor", "bad", 3)]


def test_parquet(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    columns = {"id": [7, 8], "text": ["fine", "poor"], "label": [1, 0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    assert list(read_table(path, NAMED)) == [Row("fine", 1, 1), Row("poor", 0, 2)]
    message = complaint(path, ColumnsConfig(text="txt"))
    assert "'id', 'text', 'label'" in message
    assert "did you mean 'text'?" in message
    assert "positions" in complaint(path, ColumnsConfig(text=1, label=2))


def test_broken_parquet(tmp_path):
    path = table(tmp_path, "a.parquet", "no parquet")
    assert f"{path} is no readable Parquet file" in complaint(path)


def test_a_long_document_is_read_whole(tmp_path):
    path = table(tmp_path, "a.csv", f"text,label\n{'long ' * 50_000},good\n")
    assert len(next(read_table(path, NAMED)).text) == 250_000


def test_missing_file(tmp_path):
    assert f"{tmp_path / 'none.csv'} is no file" in complaint(tmp_path / "none.csv")
    assert "is no file" in complaint(tmp_path)


def test_a_folder_with_a_file_of_texts_for_each_label(tmp_path):
    table(tmp_path, "pos.txt", "好看\n\n  很好看 \n")
    table(tmp_path, "neg.txt", "不好\r\n")
    table(tmp_path, "model.bin", "not read")
    rows = list(read_table(tmp_path, NAMED, "label-files"))
    assert rows == [Row("不好", "neg", 1), Row("好看", "pos", 1), Row("很好看", "pos", 3)]


def test_a_folder_without_texts(tmp_path):
    message = complaint(tmp_path, file_format="label-files")
    assert f"{tmp_path} has no file that ends in .txt, expected one for each label" in message
    assert "is no folder" in complaint(
        table(tmp_path, "a.txt", "fine\n"), file_format="label-files"
    )


def test_unknown_ending(tmp_path):
    message = complaint(table(tmp_path, "a.xlsx", "text,label\n"))
    assert "'.xlsx'" in message
    assert "set data.format" in message


def test_other_encoding_names_byte_and_row(tmp_path):
    path = table(tmp_path, "a.csv", "text,label\nfine,good\ncafé,bad\n", "latin-1")
    message = complaint(path)
    assert f"{path} row 3: byte 24 (0xe9)" in message
    assert "data.encoding='utf-8'" in message
    assert [row.text for row in read_table(path, NAMED, encoding="latin-1")] == ["fine", "café"]


def test_unknown_encoding(tmp_path):
    path = table(tmp_path, "a.csv", "text,label\n")
    assert "data.encoding is 'utf-nine'" in complaint(path, encoding="utf-nine")


def test_missing_column_names_the_nearest(tmp_path):
    message = complaint(table(tmp_path, "a.csv", "id,texts,label\n1,fine,good\n"))
    assert "'id', 'texts', 'label'" in message
    assert "expected 'text' (did you mean 'texts'?)" in message


@pytest.mark.parametrize(
    ("content", "row", "found"),
    [
        ("text,label\nfine,good\npoor\n", 3, "1 columns, expected 2"),
        ("text,label\nfine, really,good\n", 2, "3 columns, expected 2"),
        ('text,label\nfine,good\n"open,bad\n', 3, "malformed"),
        ("text,label\nfine,good\n   ,bad\n", 3, "text is empty"),
    ],
)
def test_bad_csv_row(tmp_path, content, row, found):
    path = table(tmp_path, "a.csv", content)
    message = complaint(path)
    assert f"{path} row {row}" in message
    assert found in message


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "poor", "label": }', "character 27"),
        ('["poor", "bad"]', "JSON list"),
        ('{"txt": "poor", "label": 0}', "did you mean 'txt'?"),
        ('{"text": 12, "label": 0}', "the text is 12"),
        ('{"text": null, "label": 0}', "the text is None"),
        ('{"text": "", "label": 0}', "text is empty"),
        ('{"text": "\\ud83d", "label": 0}', "half a surrogate pair"),
    ],
)
def test_bad_json_line(tmp_path, line, found):
    path = table(tmp_path, "a.jsonl", '{"text": "fine", "label": 1}\n' + line)
    message = complaint(path)
    assert f"{path} row 2" in message
    assert found in message


def test_positions_are_checked(tmp_path):
    path = table(tmp_path, "a.tsv", "1\tfine\n")
    assert "position 5" in complaint(path, ColumnsConfig(text=1, label=5))
    assert "position -1" in complaint(path, ColumnsConfig(text=1, label=-1))
    assert "two names, or two positions" in complaint(path, ColumnsConfig(text="text", label=1))
    assert "expected names" in complaint(
        table(tmp_path, "a.jsonl", "{}"), ColumnsConfig(text=0, label=1)
    )


def test_a_folder_with_a_folder_of_texts_for_each_label(tmp_path):
    for name, text in (("pos/2.txt", "fine\nfilm\n"), ("pos/1", "good"), ("neg/1.txt", "poor")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        table(tmp_path, name, text)
    table(tmp_path, "README.md", "not read")
    rows = list(read_table(tmp_path, NAMED, "label-folders"))
    assert rows == [Row("poor", "neg", 1), Row("good", "pos", 2), Row("fine\nfilm", "pos", 3)]


def test_a_bad_file_in_a_folder_is_named(tmp_path):
    assert "has no folders with files" in complaint(tmp_path, file_format="label-folders")
    (tmp_path / "pos").mkdir()
    path = table(tmp_path, "pos/1.txt", "caf\xe9", "latin-1")
    message = complaint(tmp_path, file_format="label-folders")
    assert f"{path} row 1: byte 3 (0xe9) is not utf-8" in message
    assert f"{path} row 1: the text is empty" in complaint(
        table(tmp_path, "pos/1.txt", " ").parents[1], file_format="label-folders"
    )

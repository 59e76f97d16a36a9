"""Writing a text token by token with an encoder, a decoder and a cache; numpy only.

The cache is one array for all layers: keys and values of what is written, which each step makes one
token longer, (batch, layers, 2, heads, written, size). Those of the text that is read are computed
once, by the encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import DataError
from pocketbert.compress.generation import Generation, read_generation
from pocketbert.compress.target_tokenizer import TargetTokenizer

NEVER = -1e9  # the sum of a beginning that is not followed


@dataclass(frozen=True)
class Written:
    """A text as a decoder wrote it.

    Attributes:
        ids: Its tokens; the end is the last one, if it came.
        score: Mean log-probability of its tokens, 0 is certain.
    """

    ids: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class Language:
    """The language that is written, and how far.

    Attributes:
        tokenizer: Its tokens.
        generation: How far is written.
    """

    tokenizer: TargetTokenizer
    generation: Generation

    @classmethod
    def open(cls, folder: Path) -> "Language":
        """Read it from a model folder, an exported model or a bundle.

        Raises:
            BundleError: The tokenizer does not load, or what is said of how far is written.
        """
        language = cls(TargetTokenizer.open(folder), read_generation(folder))
        return language.with_beams(language.generation.beams)

    def with_beams(self, beams: int) -> "Language":
        """Return the same with another number of beginnings that are followed.

        Raises:
            DataError: It is less than one, or more than there are tokens.
        """
        if not 1 <= beams <= self.tokenizer.size:
            raise DataError(f"beams is {beams}, expected 1 to {self.tokenizer.size}")
        return replace(self, generation=replace(self.generation, beams=beams))


class Writer(Protocol):
    """Writes the texts that a tokenised batch asks for."""

    def write(self, inputs: Mapping[str, NDArray[np.int64]], language: Language) -> list[Written]:
        """Write a text for each row of `input_ids` and `attention_mask`, each (batch, seq)."""


class Steps(Protocol):
    """Both halves of a model.

    Attributes:
        cache_shape: Layers, 2, heads, size of a head.
    """

    cache_shape: tuple[int, int, int, int]

    def read(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return keys and values of the text that is read. (batch, layers, 2, heads, seq, size)."""

    def step(
        self,
        tokens: NDArray[np.int64],
        mask: NDArray[np.int64],
        read: NDArray[np.float32],
        written: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits of the next token, and the cache one token longer.

        Args:
            tokens: The last token of each row. Shape: (batch, 1).
            mask: 1 for each token that is read. Shape: (batch, seq).
            read: As `read` returns it.
            written: The cache. Shape: (batch, layers, 2, heads, written, size).

        Returns:
            Shapes: (batch, vocabulary) and that of the cache.
        """


def write(
    steps: Steps, inputs: Mapping[str, NDArray[np.int64]], language: Language
) -> list[Written]:
    """Write a text for each row of a batch.

    Args:
        steps: The model.
        inputs: `input_ids` and `attention_mask`, each (batch, seq).
        language: What is written; one beam takes the likeliest token every time.
    """
    if len(inputs["input_ids"]) == 0:
        return []
    search = _greedy if language.generation.beams == 1 else _beams
    return search(steps, inputs["attention_mask"], steps.read(inputs), language)


def _greedy(
    steps: Steps, mask: NDArray[np.int64], read: NDArray[np.float32], language: Language
) -> list[Written]:
    ids: list[list[int]] = [[] for _ in mask]
    sums = np.zeros(len(mask))
    going = np.arange(len(mask))  # rows whose text has not ended; the others are not computed
    tokens = np.full((len(mask), 1), language.tokenizer.start_id, dtype=np.int64)
    written = _empty(steps, len(mask))
    for _ in range(language.generation.max_tokens):
        logits, written = steps.step(tokens, mask, read, written)
        chosen = logits.argmax(axis=-1)
        sums[going] += log_softmax(logits)[np.arange(len(going)), chosen]
        for row, token in zip(going, chosen, strict=True):
            ids[row].append(int(token))
        stays = np.flatnonzero(chosen != language.tokenizer.end_id)
        if not len(stays):
            break
        tokens = chosen[stays, None].astype(np.int64)
        if len(stays) < len(going):
            going, mask = going[stays], mask[stays]
            read, written = read[stays], written[stays]
    return [Written(tuple(one), float(sums[row] / len(one))) for row, one in enumerate(ids)]


def _beams(
    steps: Steps, mask: NDArray[np.int64], read: NDArray[np.float32], language: Language
) -> list[Written]:
    """Follow several beginnings of each text; the best mean log-probability wins.

    Candidates, ends and when a text is done are as in transformers' beam search without early
    stopping and with a length penalty of 1.
    """
    beams, most = language.generation.beams, language.generation.max_tokens
    hypotheses = [_Hypotheses(beams, language.tokenizer.end_id) for _ in mask]
    mask, read = np.repeat(mask, beams, axis=0), np.repeat(read, beams, axis=0)
    tokens = np.full((len(mask), 1), language.tokenizer.start_id, dtype=np.int64)
    written = _empty(steps, len(mask))
    for length in range(1, most + 1):
        logits, written = steps.step(tokens, mask, read, written)
        chances = log_softmax(logits)
        rows = []
        for number, one in enumerate(hypotheses):
            first = number * beams
            rows += [first + row for row in one.follow(chances[first : first + beams], length)]
        if all(one.done for one in hypotheses):
            break
        written = written[rows]
        tokens = np.array([one.last for one in hypotheses], dtype=np.int64).reshape(-1, 1)
    return [one.best() for one in hypotheses]


class _Hypotheses:
    """The beginnings of one text that are followed, and those that have ended."""

    def __init__(self, beams: int, end_id: int) -> None:
        self.beams, self.end_id = beams, end_id
        self.ids: list[tuple[int, ...]] = [()] * beams
        self.sums = np.array([0.0] + [NEVER] * (beams - 1))  # all begin alike: one is enough
        self.ended: list[Written] = []
        self.done = False

    @property
    def last(self) -> list[int]:
        """The last token of each beginning."""
        return [ids[-1] for ids in self.ids]

    def follow(self, chances: NDArray[np.float64], length: int) -> list[int]:
        """Take the likeliest next tokens; return which beginning each goes on from.

        Args:
            chances: Log-probabilities. Shape: (beams, vocabulary).
            length: Tokens with this one.
        """
        if self.done:
            return list(range(self.beams))
        sums = self.sums[:, None] + chances
        flat = sums.reshape(-1)
        going: list[tuple[int, tuple[int, ...], float]] = []
        for rank, place in enumerate(_highest(flat, 2 * self.beams)):
            row, token = divmod(int(place), sums.shape[1])
            ids = (*self.ids[row], token)
            if token != self.end_id:
                going.append((row, ids, float(flat[place])))
            elif rank < self.beams:
                self._end(Written(ids, float(flat[place]) / length))
        going = going[: self.beams]
        self.ids = [ids for _, ids, _ in going]
        self.sums = np.array([total for _, _, total in going])
        worst = min((one.score for one in self.ended), default=-np.inf)
        self.done = len(self.ended) == self.beams and worst >= self.sums.max() / length
        return [row for row, _, _ in going]

    def best(self) -> Written:
        """Return the best text; one that has not ended counts where the search had to stop."""
        if not self.done:
            for ids, total in zip(self.ids, self.sums, strict=True):
                self._end(Written(ids, float(total) / len(ids)))
        return max(self.ended, key=_score)

    def _end(self, text: Written) -> None:
        self.ended = sorted([*self.ended, text], key=_score, reverse=True)[: self.beams]


def _highest(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the places of the highest values, the highest first; of equals the first."""
    count = min(count, len(values))
    least = -np.partition(-values, count - 1)[count - 1]
    some = np.flatnonzero(~(values < least))  # which takes NaN where there is nothing else
    return some[np.argsort(-values[some], kind="stable")][:count]


def _score(text: Written) -> float:
    return text.score


def _empty(steps: Steps, rows: int) -> NDArray[np.float32]:
    layers, two, heads, size = steps.cache_shape
    return np.empty((rows, layers, two, heads, 0, size), dtype=np.float32)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log-probabilities over the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))

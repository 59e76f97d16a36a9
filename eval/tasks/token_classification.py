"""F1 of whole entities, the metric of tagged words."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from pocketbert.compress.data import Examples
from pocketbert.compress.word_tags import OUTSIDE, entities, tags_of
from pocketbert.deploy.tokenizer import Tokenizer

from .measure import Measure
from .multi_label import f1_of_means

NO_WORD = -100
UNCUT = 10**9  # tokens


class EntityF1(Measure):
    """F1 of entities; one counts if its words and its label are right (seqeval's default mode).

    Words that an artifact did not read, because the text is too long for it, count as outside.
    """

    name = "entity F1"

    def truth(self, examples: Examples, tokenizer: Path) -> NDArray[Any]:
        """Return the tags of all words, -100 behind the last one. Shape: (examples, words)."""
        whole = Tokenizer(tokenizer, UNCUT)
        tags = [
            tags_of(whole.words(text), spans)
            for text, spans in zip(examples.texts, examples.labels, strict=True)
        ]
        truth = np.full((len(tags), max(map(len, tags))), NO_WORD)
        for row, of_text in enumerate(tags):
            truth[row, : len(of_text)] = of_text
        return truth

    def shape(self, truth: NDArray[Any]) -> tuple[int, ...]:
        """Return (examples, words)."""
        return truth.shape

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return right, given and true entities of each text. Shape: (examples, 3)."""
        rows = []
        for tags, wanted in zip(_tags(logits), truth, strict=True):
            words = int((wanted != NO_WORD).sum())
            ours, theirs = (set(entities(row[:words].tolist())) for row in (tags, wanted))
            rows.append((len(ours & theirs), len(ours), len(theirs)))
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return F1; 0 where no entity is given or true."""
        return f1_of_means(means)

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which texts get the same tags throughout."""
        return np.asarray((_tags(logits) == _tags(other)).all(axis=1))

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """KL divergence from the other's probabilities, in nats a word."""
        ours, theirs = (log_softmax(values, axis=-1) for values in (logits, other))
        return float(np.nanmean((np.exp(theirs) * (theirs - ours)).sum(axis=-1)))


def _tags(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the best tag of each word; where there is none, outside. Shape: (examples, words)."""
    unread = np.isnan(logits).any(axis=-1)
    return np.asarray(np.where(unread, OUTSIDE, np.nan_to_num(logits).argmax(axis=-1)))

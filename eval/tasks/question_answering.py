"""F1 and exact match of answers, SQuAD's metrics."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from pocketbert.compress.answer_scores import best_score, exact_match, word_f1
from pocketbert.compress.answer_spans import answer_span
from pocketbert.compress.config import CONTEXT, Truncation
from pocketbert.compress.data import Examples
from pocketbert.deploy.tokenizer import Tokenizer

from .measure import Measure

UNCUT = 10**9  # tokens


class AnswerF1(Measure):
    """Mean F1 of the answers' words; logits come less the threshold of "no answer"."""

    name = "answer F1"

    def truth(self, examples: Examples, tokenizer: Path) -> NDArray[Any]:
        """Return a dictionary for each question: context, characters of its tokens, answers."""
        whole = Tokenizer(tokenizer, UNCUT, Truncation(keep=CONTEXT))
        truth = np.empty(len(examples), dtype=object)
        for row, (text, spans) in enumerate(zip(examples.texts, examples.labels, strict=True)):
            _, offsets = whole.context_windows(text)
            truth[row] = {
                "context": text[1],
                "starts": [start for start, _ in offsets],
                "ends": [end for _, end in offsets],
                "answers": [text[1][span.start : span.end] for span in spans],
            }
        return truth

    def shape(self, truth: NDArray[Any]) -> tuple[int, ...]:
        """Return (examples, 1 + tokens of the longest context)."""
        return len(truth), 1 + max(len(one["starts"]) for one in truth)

    def further(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Return the share of the answers that are right as a whole."""
        return {"exact match": float(self.statistics(logits, truth)[:, 1].mean())}

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return F1 and exact match of each answer. Shape: (examples, 2)."""
        rows = []
        for values, told in zip(logits, truth, strict=True):
            span = answer_span(_read(values))
            given = ""
            if span is not None:
                given = told["context"][told["starts"][span.first] : told["ends"][span.last]]
            rows.append([best_score(one, given, told["answers"]) for one in (word_f1, exact_match)])
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean F1."""
        return np.asarray(means[..., 0])

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which questions get the same answer, or none by both."""
        pairs = zip(logits, other, strict=True)
        return np.array([_place(ours) == _place(theirs) for ours, theirs in pairs], dtype=bool)

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """KL divergence from the other's distributions over tokens, in nats an end."""
        found = []
        for values in zip(logits, other, strict=True):
            ours, theirs = (log_softmax(_read(one), axis=0) for one in values)
            found.append((np.exp(theirs) * (theirs - ours)).sum(axis=0).mean())
        return float(np.mean(found))


def _read(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of a context's own tokens. Shape: (1 + tokens, 2)."""
    return logits[~np.isnan(logits).any(axis=-1)]


def _place(logits: NDArray[np.float32]) -> tuple[int, int] | None:
    span = answer_span(_read(logits))
    return None if span is None else (span.first, span.last)

"""Answers as spans of tokens: the best ones by their logits, and when to give none.

Logits of an example have one row a token of the context, behind row 0, which says that there is no
answer: what a model says of its first token (Devlin et al. 2019, section 4.3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_ANSWER = 30  # tokens, as in BERT's run_squad.py
NEVER = 1e6  # a lead that no logits have


@dataclass(frozen=True)
class TokenSpan:
    """Tokens of a context.

    Attributes:
        first: The first one.
        last: The last one.
        score: Sum of the logits that it begins and ends there.
    """

    first: int
    last: int
    score: float


def best_spans(logits: NDArray[np.float32], count: int = 1) -> list[TokenSpan]:
    """Return the spans with the largest sums of logits, the best first.

    Args:
        logits: That an answer begins and ends at each row. Shape: (1 + tokens, 2).
        count: How many at most; fewer where the context has fewer.
    """
    starts, ends = logits[1:, 0].astype(np.float64), logits[1:, 1].astype(np.float64)
    if not len(starts):
        return []
    beyond = np.full(LONGEST_ANSWER - 1, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([ends, beyond]), LONGEST_ANSWER
    )
    scores = (starts[:, None] + windows).ravel()
    count = min(count, int(np.isfinite(scores).sum()))
    some = np.argpartition(-scores, count - 1)[:count]
    best = some[np.argsort(-scores[some], kind="stable")]
    return [
        TokenSpan(
            int(place // LONGEST_ANSWER),
            int(place // LONGEST_ANSWER + place % LONGEST_ANSWER),
            float(scores[place]),
        )
        for place in best
    ]


def null_lead(logits: NDArray[np.float32]) -> float:
    """Return how far "no answer" is ahead of the best span, negative behind it."""
    best = best_spans(logits)
    return float(logits[0].sum()) - best[0].score if best else NEVER


def answer_span(logits: NDArray[np.float32]) -> TokenSpan | None:
    """Return the best span; None where "no answer" is ahead, whose row comes less thresholds."""
    best = best_spans(logits)
    return best[0] if best and logits[0].sum() <= best[0].score else None


def null_threshold(
    leads: NDArray[np.float64], answered: NDArray[np.float64], silent: NDArray[np.float64]
) -> float:
    """Choose the lead above which no answer is given, for the best mean score.

    Where silence is never right, there is none that high; between two examples that are told apart
    it is the middle.

    Args:
        leads: As `null_lead` says. Shape: (examples,).
        answered: Each example's score if its best span is given, 0..1. Shape: (examples,).
        silent: Its score if none is given. Shape: (examples,).
    """
    if not silent.any():
        return NEVER
    order = np.argsort(leads, kind="stable")
    ranked = leads[order]
    given = np.concatenate([[0.0], np.cumsum(answered[order])])
    kept = np.concatenate([np.cumsum(silent[order][::-1])[::-1], [0.0]])
    totals = given + kept
    totals[1:-1][ranked[:-1] == ranked[1:]] = -np.inf  # cannot be told apart
    edges = np.concatenate([[ranked[0] - 2.0], ranked, [ranked[-1] + 2.0]])
    best = int(totals.argmax())
    return float((edges[best] + edges[best + 1]) / 2)

"""Exact match and F1 of answers as SQuAD's evaluation defines them (Rajpurkar et al. 2016, 2018).

Answers are compared in lower case, without punctuation, articles and further spaces.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Return what two answers share when they count as the same."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answer: str, truth: str) -> float:
    """Return 1 if both are the same, else 0; "" is no answer."""
    return float(normalise_answer(answer) == normalise_answer(truth))


def word_f1(answer: str, truth: str) -> float:
    """Return F1 of the words of an answer; no answer equals only no answer."""
    ours, theirs = normalise_answer(answer).split(), normalise_answer(truth).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return overlap_f1((Counter(ours) & Counter(theirs)).total(), len(ours), len(theirs))


def overlap_f1(shared: int, ours: int, theirs: int) -> float:
    """Return F1 given how much two answers share and how long each is."""
    return 2 * shared / (ours + theirs)


def best_score(score: Callable[[str, str], float], answer: str, truths: Sequence[str]) -> float:
    """Return the score with the nearest of the right answers; none is right where there are none.

    A right answer of which the normalisation leaves nothing does not count beside others.
    """
    told = [truth for truth in truths if normalise_answer(truth)] or [""]
    return max(score(answer, truth) for truth in told)

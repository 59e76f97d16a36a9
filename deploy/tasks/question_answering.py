"""The part of a context that answers a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.answer_scores import best_score, word_f1
from pocketbert.compress.answer_spans import (
    TokenSpan,
    answer_span,
    best_spans,
    null_lead,
    null_threshold,
)
from pocketbert.compress.errors import DataError
from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word

from ..tokenizer import Tokenizer
from .task import Reading, Task
from .text_classification import softmax

CANDIDATES = 5


@dataclass(frozen=True)
class Candidate:
    """A part of the context.

    Attributes:
        text: Its characters.
        start: The first of them.
        end: Behind the last one.
        score: Probability that an answer starts there times the probability that one ends there,
            each over all tokens of the context and "no answer", 0..1.
    """

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        text: The answer; empty where the context does not tell.
        start: Its first character in the context; 0 where it does not tell.
        end: Behind its last character; 0 where it does not tell.
        score: As a candidate's; where the context does not tell that of "no answer".
        answerable: Whether the context tells.
        candidates: The best parts of the context, the best first, whether it tells or not.
    """

    text: str
    start: int
    end: int
    score: float
    answerable: bool
    candidates: tuple[Candidate, ...]


class QuestionAnswering(Task):
    """The span of tokens with the largest sum of start and end logits, or none.

    A long context is read in windows, each behind the question. Every token is answered by the
    window that shows most around it (the "maximum context" of BERT's run_squad.py); "no answer"
    counts as in the window where it is least likely, because one answer is enough. So a text has
    1 + tokens rows of logits, the first for "no answer".
    """

    per_word = True

    def read(self, tokenizer: Tokenizer, text: Text) -> Reading:
        """Return the windows, and the tokens of the context as words.

        Raises:
            DataError: Question or context is missing or blank.
        """
        for part, name in zip(text, ("question", "context"), strict=False):
            if not isinstance(text, str) and not part.strip():
                raise DataError(
                    f"the {name} of {text!r} is empty, expected a question and the text that it is "
                    "about"
                )
        windows, offsets = tokenizer.context_windows(text)
        words = []
        for token, (start, end) in enumerate(offsets):
            rooms = [window.room_around(token) for window in windows]
            number = rooms.index(max(rooms))
            position = windows[number].position + token - windows[number].first
            words.append(Word(position, start, end, number))
        return Reading([(window.ids, window.type_ids) for window in windows], words)

    def gather(
        self, found: Sequence[NDArray[np.float32]], words: Sequence[Word]
    ) -> NDArray[np.float32]:
        """Put "no answer" before the tokens. Shape: (1 + tokens, 2)."""
        silent = min((window[0] for window in found), key=np.sum)
        return np.concatenate([silent[None], super().gather(found, words)])

    def less_thresholds(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take them from "no answer" only, so that it has to be as far ahead. Same shape."""
        less = logits.copy()
        less[0] -= np.array(self.thresholds, dtype=np.float32)
        return less

    def best_thresholds(
        self,
        logits: Sequence[NDArray[np.float32]],
        words: Sequence[Sequence[Word]],
        texts: Sequence[Text],
        labels: NDArray[Any],
    ) -> list[float]:
        """Choose the lead of "no answer" with the largest mean F1, half of it for each end."""
        leads, answered, silent = [], [], []
        for rows, tokens, text, spans in zip(logits, words, texts, labels, strict=True):
            context = text[1]
            truths = [context[span.start : span.end] for span in spans]
            given = [context[slice(*_characters(one, tokens))] for one in best_spans(rows)]
            leads.append(null_lead(rows))
            answered.append(best_score(word_f1, given[0], truths) if given else 0.0)
            silent.append(best_score(word_f1, "", truths))
        half = null_threshold(np.array(leads), np.array(answered), np.array(silent)) / 2
        return [half, half]

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Answer]:
        """Return the answer to each question."""
        return [
            self._answer(rows, tokens, text[1])
            for rows, tokens, text in zip(logits, words, texts, strict=True)
        ]

    def _answer(self, logits: NDArray[np.float32], words: Sequence[Word], context: str) -> Answer:
        chances = softmax(logits.T).T
        candidates = []
        for span in best_spans(logits, CANDIDATES):
            start, end = _characters(span, words)
            score = float(chances[1 + span.first, 0] * chances[1 + span.last, 1])
            candidates.append(Candidate(context[start:end], start, end, score))
        if answer_span(self.less_thresholds(logits)) is None:
            return Answer("", 0, 0, float(chances[0].prod()), False, tuple(candidates))
        best = candidates[0]
        return Answer(best.text, best.start, best.end, best.score, True, tuple(candidates))


def _characters(span: TokenSpan, words: Sequence[Word]) -> tuple[int, int]:
    return words[span.first].start, words[span.last].end

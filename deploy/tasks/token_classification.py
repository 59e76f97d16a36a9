"""Entities in a text, with the characters that they cover."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word, entities, label_names

from .task import Task
from .text_classification import softmax


@dataclass(frozen=True)
class Entity:
    """A part of a text that has a label.

    Attributes:
        start: Its first character.
        end: Behind its last character.
        text: Those characters.
        label: What it is.
        score: Mean probability of its words' tags, 0..1.
    """

    start: int
    end: int
    text: str
    label: str
    score: float


@dataclass(frozen=True)
class Entities:
    """The answer for one text.

    Attributes:
        entities: In the order of the text.
    """

    entities: tuple[Entity, ...]


class TokenClassification(Task):
    """The most probable tag of every word, read from the logits of its first token."""

    per_word = True

    def answers(
        self,
        logits: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        words: Sequence[Sequence[Word]] = (),
        texts: Sequence[Text] = (),
    ) -> Sequence[Entities]:
        """Return the entities of each text."""
        return [self._entities(*one) for one in zip(logits, words, texts, strict=True)]

    def _entities(self, logits: NDArray[np.float32], words: Sequence[Word], text: Text) -> Entities:
        assert isinstance(text, str)
        labels = label_names(self.labels)
        probabilities = softmax(logits)
        scores = probabilities.max(axis=-1, initial=0)
        found = []
        for span in entities(probabilities.argmax(axis=-1).tolist()):
            start, end = words[span.start].start, words[span.end - 1].end
            score = float(scores[span.start : span.end].mean())
            found.append(Entity(start, end, text[start:end], labels[span.label], score))
        return Entities(tuple(found))

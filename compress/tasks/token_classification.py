"""Learning which words of a text belong to an entity."""

from collections.abc import Mapping

from torch import Tensor

from ..labelling import UNLABELLED
from ..word_tags import entities
from .softmax import SoftmaxTask


class TokenClassification(SoftmaxTask):
    """A tag for the first token of every word; other tokens are labelled -100 and do not count."""

    metric = "f1"

    def rows(self, values: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Choose the first tokens of words."""
        return values[batch["labels"] != UNLABELLED]

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """F1 of whole entities with their labels; 0 where there is none."""
        right = both = 0
        for tags, truth in zip(logits.argmax(-1), labels, strict=True):
            first = truth != UNLABELLED
            ours, theirs = (set(entities(row[first].tolist())) for row in (tags, truth))
            right += len(ours & theirs)
            both += len(ours) + len(theirs)
        return 2 * right / both if both else 0.0

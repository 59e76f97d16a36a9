"""Learning which words of a text belong to an entity."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..labelling import UNLABELLED
from ..word_tags import entities
from .task import SupervisedTask


class TokenClassification(SupervisedTask):
    """A tag for the first token of every word; other tokens are labelled -100 and do not count."""

    metric = "f1"

    def rows(self, values: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Choose the first tokens of words."""
        return values[batch["labels"] != UNLABELLED]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy over first tokens."""
        total = functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction="sum"
        )
        return total / torch.clamp((labels != UNLABELLED).sum(), min=1)

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """KL divergence of the softened probabilities, in nats a word."""
        return functional.kl_div(
            functional.log_softmax(rows / temperature, dim=-1),
            functional.log_softmax(teacher / temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )

    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Of a softmax the information is diag(p) - p p^T."""
        probabilities = rows.softmax(-1)
        scaled = signs * probabilities.sqrt()
        return scaled - probabilities * scaled.sum(-1, keepdim=True)

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """F1 of whole entities with their labels; 0 where there is none."""
        right = both = 0
        for tags, truth in zip(logits.argmax(-1), labels, strict=True):
            first = truth != UNLABELLED
            ours, theirs = (set(entities(row[first].tolist())) for row in (tags, truth))
            right += len(ours & theirs)
            both += len(ours) + len(theirs)
        return 2 * right / both if both else 0.0

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Share of the words that get the teacher's tag."""
        return float((rows.argmax(-1) == teacher.argmax(-1)).double().mean())

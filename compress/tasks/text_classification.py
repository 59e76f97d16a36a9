"""Learning which label a text has."""

import torch
from torch import Tensor
from torch.nn import functional

from ..labelling import UNLABELLED
from .task import SupervisedTask


class TextClassification(SupervisedTask):
    """One label a text: softmax, cross-entropy, accuracy."""

    metric = "accuracy"

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy; an example labelled -100 has none."""
        total = functional.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="sum")
        return total / torch.clamp((labels != UNLABELLED).sum(), min=1)

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """KL divergence of the softened probabilities, in nats a row."""
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
        """Share of the examples whose label is right."""
        return _share_equal(logits.argmax(-1), labels)

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Share of the examples that get the teacher's label."""
        return _share_equal(rows.argmax(-1), teacher.argmax(-1))


def _share_equal(ours: Tensor, theirs: Tensor) -> float:
    return float((ours == theirs).double().mean())

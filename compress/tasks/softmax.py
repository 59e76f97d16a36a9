"""What tasks share whose answers are one choice among several: a label, a tag, a place."""

from abc import ABC

import torch
from torch import Tensor
from torch.nn import functional

from ..labelling import UNLABELLED
from .task import SupervisedTask


class SoftmaxTask(SupervisedTask, ABC):
    """Every row of logits is a distribution over choices."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy; what is labelled -100 has none."""
        total = functional.cross_entropy(
            logits.flatten(0, -2), labels.flatten(), ignore_index=UNLABELLED, reduction="sum"
        )
        return total / torch.clamp((labels != UNLABELLED).sum(), min=1)

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """KL divergence of the softened probabilities, in nats a row."""
        return softened_divergence(rows, teacher, temperature)

    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Of a softmax the information is diag(p) - p p^T."""
        probabilities = rows.softmax(-1)
        scaled = signs * probabilities.sqrt()
        return scaled - probabilities * scaled.sum(-1, keepdim=True)

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Share of the rows with the teacher's choice."""
        return share_equal(rows.argmax(-1), teacher.argmax(-1))


def softened_divergence(rows: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of the softened probabilities of two (rows, choices), in nats a row."""
    return functional.kl_div(
        functional.log_softmax(rows / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )


def share_equal(ours: Tensor, theirs: Tensor) -> float:
    """Return the share of equal elements, 0..1."""
    return float((ours == theirs).double().mean())

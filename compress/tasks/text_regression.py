"""Learning a number for a text, or for two."""

import torch
from torch import Tensor

from ..labelling import UNLABELLED
from .task import SupervisedTask


class TextRegression(SupervisedTask):
    """One number a text: squared error, Pearson's correlation."""

    metric = "pearson"

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Squared error; an example labelled -100 has none."""
        known = labels != UNLABELLED
        total = (logits[:, 0] - labels)[known].square().sum()
        return total / torch.clamp(known.sum(), min=1)

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """Squared error; divided by the squared temperature, which soft targets multiply by."""
        return ((rows - teacher) / temperature).square().mean()

    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Of a number with normal errors of one size the information is the same everywhere."""
        return signs

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Correlation with the labels."""
        return _correlation(logits[:, 0], labels)

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Correlation with the teacher's numbers."""
        return _correlation(rows[:, 0], teacher[:, 0])


def _correlation(ours: Tensor, theirs: Tensor) -> float:
    """Pearson's; 0 where one of them is constant."""
    ours, theirs = (values.double() - values.double().mean() for values in (ours, theirs))
    spread = ours.norm() * theirs.norm()
    return float(ours @ theirs / spread) if spread > 0 else 0.0

"""Learning which of the labels a text has."""

from torch import Tensor
from torch.nn import functional

from ..labelling import UNLABELLED
from ..thresholds import best_thresholds, micro_f1
from .task import SupervisedTask


class MultiLabelClassification(SupervisedTask):
    """Any number of labels a text: a sigmoid each, F1 at the best threshold of each."""

    metric = "f1"

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy, the mean over labels; an example labelled -100 has none."""
        known = labels[:, 0] != UNLABELLED
        if not known.any():
            return logits.sum() * 0
        return functional.binary_cross_entropy_with_logits(
            logits[known], labels[known].to(logits.dtype)
        )

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """KL divergence of each label's softened probability, summed over labels, a row's mean."""
        ours, theirs = rows / temperature, teacher / temperature
        chance = theirs.sigmoid()
        yes = functional.logsigmoid(theirs) - functional.logsigmoid(ours)
        no = functional.logsigmoid(-theirs) - functional.logsigmoid(-ours)
        return (chance * yes + (1 - chance) * no).sum(-1).mean()

    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Of a sigmoid the information is p (1 - p)."""
        return signs * (rows.sigmoid() * (-rows).sigmoid()).sqrt()

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """F1 over all labels of all examples."""
        found, truth = logits.float().numpy(), labels.long().numpy()
        return micro_f1(found >= self.thresholds(logits, labels), truth)

    def thresholds(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        """Those with the largest F1."""
        return tuple(best_thresholds(logits.float().numpy(), labels.long().numpy()))

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Share of the examples that get the teacher's labels, at a probability of one half."""
        return float(((rows >= 0) == (teacher >= 0)).all(-1).double().mean())

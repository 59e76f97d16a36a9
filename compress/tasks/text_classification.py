"""Learning which label a text has."""

from torch import Tensor

from .softmax import SoftmaxTask, share_equal


class TextClassification(SoftmaxTask):
    """One label a text, judged by accuracy."""

    metric = "accuracy"

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Share of the examples whose label is right."""
        return share_equal(logits.argmax(-1), labels)

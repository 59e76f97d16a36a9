"""Learning where in a context the answer to a question stands."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..answer_scores import overlap_f1
from ..answer_spans import TokenSpan, best_spans, null_lead, null_threshold
from ..labelling import UNLABELLED
from ..window_labels import END, START
from .softmax import SoftmaxTask

CLOSED = -1e4  # a logit of no probability; finite, so that what it is compared with stays so


class QuestionAnswering(SoftmaxTask):
    """Start and end logits of every token of a window's context, and of its first token.

    The first token stands for "no answer here" (Devlin et al. 2019, section 4.3). Both ends are
    distributions over a window's tokens; what is labelled -100, such as the question, has no part.
    """

    metric = "f1"
    own_loss = True

    def rows(self, values: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return starts and ends as a row of logits each. Shape: (2 * batch, seq)."""
        open_ = (batch["labels"] != UNLABELLED)[..., None]
        return torch.where(open_, values, CLOSED).movedim(-1, 1).flatten(0, 1)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, the mean of start and end."""
        rows = self.rows(logits, {"labels": labels})
        ends = torch.stack([labels, labels], 1).flatten(0, 1)
        bits = torch.tensor([START, END], device=labels.device).repeat(len(labels))[:, None]
        hits = (ends > 0) & ((ends & bits) > 0)
        targets = torch.where(hits.any(-1), hits.int().argmax(-1), UNLABELLED)
        total = functional.cross_entropy(rows, targets, ignore_index=UNLABELLED, reduction="sum")
        return total / torch.clamp((targets != UNLABELLED).sum(), min=1)

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Mean F1 of the tokens of each window's answer, at the best threshold for none."""
        leads, answered, silent = _outcomes(logits, labels)
        quiet = leads > null_threshold(leads, answered, silent)
        return float(np.where(quiet, silent, answered).mean())

    def thresholds(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        """Half of the lead that "no answer" needs in a window, for each end."""
        half = null_threshold(*_outcomes(logits, labels)) / 2
        return half, half


def _outcomes(
    logits: Tensor, labels: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each window's lead of "no answer", and its F1 with the best span and with none."""
    rows: list[Any] = []
    for values, marks in zip(logits.float().numpy(), labels.long().numpy(), strict=True):
        read = marks != UNLABELLED
        said, marked = values[read], marks[read]
        truth = int((marked & START).argmax()), int((marked & END).argmax())
        rows.append((null_lead(said), _f1(best_spans(said), *truth), float(truth[0] == 0)))
    leads, answered, silent = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return leads, answered, silent


def _f1(best: list[TokenSpan], first: int, last: int) -> float:
    if not best or first == 0:
        return 0.0
    ours = best[0].first + 1, best[0].last + 1  # row 0 is no token
    shared = max(0, min(ours[1], last) - max(ours[0], first) + 1)
    return overlap_f1(shared, ours[1] - ours[0] + 1, last - first + 1)

"""BLEU of translations, and chrF beside it, both sacreBLEU's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from pocketbert.deploy.tasks.translation import from_numbers

from .measure import Measure

ORDERS = 4  # of n-grams
# Cuts Chinese into characters and all else as sacreBLEU's default does.
TOKENIZER = "zh"


class Bleu(Measure):
    """BLEU of the whole split (Papineni et al. 2002), 0..1, without smoothing.

    What an example adds are its n-grams that are right, its n-grams, and both lengths, as sacreBLEU
    counts them; the metric is the same function of their sums and of their means.
    """

    name = "BLEU"

    def shape(self, truth: NDArray[Any]) -> tuple[int, ...]:
        """Return (examples, 1): more numbers a text as it is written."""
        return len(truth), 1

    def further(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Return chrF (Popović 2015), and the share of translations that are the right one."""
        texts = _texts(logits)
        right = [text == other for text, other in zip(texts, truth, strict=True)]
        found = CHRF().corpus_score(texts, [[str(text) for text in truth]]).score
        return {"chrF": found / 100, "exact match": float(np.mean(right))}

    def statistics(self, logits: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64]:
        """Return right n-grams, n-grams and both lengths of each example. Shape: (examples, 10)."""
        bleu = BLEU(tokenize=TOKENIZER, effective_order=True)
        rows = []
        for text, right in zip(_texts(logits), truth, strict=True):
            found = bleu.sentence_score(text, [str(right)])
            rows.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
        return np.array(rows, dtype=np.float64).reshape(-1, 2 * ORDERS + 2)

    def of_means(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return BLEU; orders of n-grams that are longer than all that was written do not count."""
        right, all_of_them = means[..., :ORDERS], means[..., ORDERS : 2 * ORDERS]
        ours, theirs = means[..., -2], means[..., -1]
        counted = all_of_them > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(counted, np.log(right / all_of_them), 0)
            precision = np.exp(logs.sum(axis=-1) / counted.sum(axis=-1))
            brevity = np.exp(np.minimum(0, 1 - theirs / ours))
        return np.asarray(np.where(ours > 0, brevity * precision, 0.0))

    def same(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which texts are translated the same way."""
        pairs = zip(_texts(logits), _texts(other), strict=True)
        return np.array([ours == theirs for ours, theirs in pairs], dtype=bool)

    def divergence(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """One minus chrF to the other's translations."""
        return 1 - float(CHRF().corpus_score(_texts(logits), [_texts(other)]).score) / 100

    def largest_difference(self, logits: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Return how far a score is from another model's at most."""
        return float(np.abs(logits[:, 0, 0] - other[:, 0, 0]).max())


def _texts(logits: NDArray[np.float32]) -> list[str]:
    return [from_numbers(rows).text for rows in logits]

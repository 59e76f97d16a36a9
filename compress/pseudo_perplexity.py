"""How well a masked language model predicts texts that it has not seen."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from .batches import Collate, TokenizedExamples, batches_by_length
from .masked_language import MaskedLanguageLearner
from .masking import Masking
from .progress import progress

BATCH_SIZE = 64
FRACTION = 0.1  # of the tokens are asked for, because each costs a run over its text
RESAMPLES = 2000


@torch.inference_mode()
def pseudo_perplexity(
    model: MaskedLanguageLearner, texts: TokenizedExamples, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """Return exp of the mean surprise at a token that is hidden alone (Salazar et al. 2020, eq. 2).

    The mean over all tokens is estimated from a tenth of each text's, one at least, which the text
    alone chooses; so models that cut texts alike are asked for the same tokens.

    Returns:
        `pseudo_perplexity`, its 95 % `pseudo_perplexity_interval` over resampled texts, and
        `tokens_asked`.
    """
    model.eval()
    masking = Masking.of(tokenizer, FRACTION)
    copies = TokenizedExamples([], [], {"masked_positions": [], "masked_ids": []})
    for row, ids in enumerate(texts.input_ids):
        for position in masking(ids)["masked_positions"]:
            at = int(position)
            copies.input_ids.append([*ids[:at], masking.mask_token, *ids[at + 1 :]])
            copies.labels.append(row)
            copies.extras["masked_positions"].append(position[None])
            copies.extras["masked_ids"].append(torch.tensor([ids[at]]))
    surprise = np.empty(len(copies))
    batches = list(batches_by_length(copies, BATCH_SIZE))
    collate = Collate(tokenizer.pad_token_id)
    with progress("Pseudo-perplexity", total=len(batches), unit="batch") as bar:
        for rows in batches:
            batch = collate([copies[row] for row in rows])
            logits = model(**batch)["logits"].float()
            truth = batch["masked_ids"].flatten()
            surprise[rows] = functional.cross_entropy(logits, truth, reduction="none").numpy()
            bar.advance()
    owners = np.array(copies.labels)
    return _summary(texts, masking, owners, surprise)


def _summary(
    texts: TokenizedExamples,
    masking: Masking,
    owners: NDArray[np.int64],
    surprise: NDArray[np.float64],
) -> dict[str, Any]:
    asked = np.unique(owners)
    means = np.bincount(owners, surprise)[asked] / np.bincount(owners)[asked]
    tokens = np.array([len(masking.places(texts.input_ids[row])) for row in asked])

    def perplexity(sums: Any, counts: Any, axis: int = -1) -> Any:
        return np.exp(sums.sum(axis) / counts.sum(axis))

    sample = (means * tokens, tokens.astype(float))
    interval = stats.bootstrap(
        sample,
        perplexity,
        paired=True,
        n_resamples=RESAMPLES,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "pseudo_perplexity": float(perplexity(*sample)),
        "pseudo_perplexity_interval": [float(interval.low), float(interval.high)],
        "tokens_asked": len(surprise),
    }

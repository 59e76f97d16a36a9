"""What a model says about labelled examples, without any training."""

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import Collate, TokenizedExamples, batches_by_length, padded
from .states import run_with_states

BATCH_SIZE = 64


@torch.inference_mode()
def logits_of(
    model: PreTrainedModel, examples: TokenizedExamples, tokenizer: PreTrainedTokenizerBase
) -> tuple[Tensor, Tensor]:
    """Return logits and labels in the same order, which is that of the lengths.

    Returns:
        Shapes: (examples, labels) and (examples, ...); where every word is answered (examples, seq,
        labels) and (examples, seq).
    """
    model.eval()
    collate = Collate(tokenizer.pad_token_id)
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    for rows in batches_by_length(examples, BATCH_SIZE):
        batch = collate([examples[row] for row in rows])
        labels += batch.pop("labels")
        logits += run_with_states(model, batch, ()).logits
    return padded(logits), padded(labels)

"""Which tokens of a text are hidden from a masked language model, and behind what."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from .batches import TokenizedExamples

# Of the chosen tokens; the rest stay as they are.
SHARE_MASKED, SHARE_RANDOM = 0.8, 0.1


@dataclass(frozen=True)
class Masking:
    """Chooses tokens to be read from their neighbours, as BERT does (Devlin et al. 2019, A.1).

    A fixed share of each text is chosen, one token at least. Of these 80 % become the mask token,
    10 % another token and 10 % stay, so that an encoder that will never see a mask token again
    must make something of every token; DistilBERT is distilled in the same way (Sanh et al. 2019).
    Special tokens, unknown words and the first position are never chosen.

    Attributes:
        fraction: Share of a text's tokens that is chosen.
        mask_token: Id that stands for a hidden token.
        special: Ids that are never chosen.
        ordinary: Ids that may take a token's place.
    """

    fraction: float
    mask_token: int
    special: frozenset[int]
    ordinary: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, fraction: float) -> "Masking":
        """Take the ids from a tokenizer that has a mask token."""
        special = frozenset(tokenizer.all_special_ids)
        ordinary = tuple(n for n in sorted(tokenizer.get_vocab().values()) if n not in special)
        mask_token = tokenizer.mask_token_id
        assert isinstance(mask_token, int)
        return cls(fraction, mask_token, special, ordinary)

    def places(self, ids: list[int]) -> list[int]:
        """Return the positions that may be chosen."""
        return [n for n, token in enumerate(ids) if n > 0 and token not in self.special]

    def __call__(self, ids: list[int], key: str = "") -> dict[str, Any]:
        """Return a text as a masked language model learns from it.

        Position 0 is never chosen, so that it can be the padding of `masked_positions`.

        Args:
            ids: The text.
            key: The same text and key are always hidden alike, whatever came before.

        Returns:
            `input_ids`: what is read; `masked_positions` and `masked_ids` (chosen,): which
            positions were chosen, in rising order, and what stood there.
        """
        draw = random.Random(f"{key} {ids}")
        places = self.places(ids)
        count = min(len(places), max(1, round(self.fraction * len(places))))
        chosen = sorted(draw.sample(places, count))
        read = list(ids)
        for position in chosen:
            kind = draw.random()
            if kind < SHARE_MASKED:
                read[position] = self.mask_token
            elif kind < SHARE_MASKED + SHARE_RANDOM:
                read[position] = draw.choice(self.ordinary)
        return {
            "input_ids": read,
            "masked_positions": torch.tensor(chosen, dtype=torch.long),
            "masked_ids": torch.tensor([ids[n] for n in chosen], dtype=torch.long),
        }


def with_hidden_tokens(examples: TokenizedExamples, masking: Masking) -> TokenizedExamples:
    """Hide tokens of every text, the same in every epoch and every run: the text alone decides."""
    items = [masking(ids) for ids in examples.input_ids]
    hidden = {n: [item[n] for item in items] for n in ("masked_positions", "masked_ids")}
    read = [item["input_ids"] for item in items]
    return TokenizedExamples(read, examples.labels, examples.extras | hidden)


class HiddenAnew(TokenizedExamples):
    """Texts whose hidden tokens depend on a key that may be changed in the course of a training.

    Attributes:
        masking: Chooses them.
        key: The same key hides the same tokens.
    """

    def __init__(self, examples: TokenizedExamples, masking: Masking) -> None:
        super().__init__(examples.input_ids, examples.labels, examples.extras)
        self.masking = masking
        self.key = ""

    def __getitem__(self, index: int) -> dict[str, Any]:
        return super().__getitem__(index) | self.masking(self.input_ids[index], self.key)

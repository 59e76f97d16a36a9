"""Words replaced by what a masked language model reads in their place (Jiao et al. 2020)."""

import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from .batches import Collate, TokenizedExamples, batches_by_length
from .config import MaskedWordsConfig
from .fetch import fetch_model
from .folder import load_tokenizer
from .masked_language import load_masked_lm
from .progress import progress

BATCH_SIZE = 64
LONGEST_TOKENS = 128  # words behind are left as they are

Place = tuple[int, int]  # number of the text, number of the word


def masked_words(
    texts: list[list[str]], config: MaskedWordsConfig, draw: random.Random
) -> Iterator[list[str]]:
    """Yield each text with words replaced by likely ones, each asked for with the others in sight.

    Algorithm 1 of TinyBERT, but that a word of several tokens is asked for as one, where the paper
    takes neighbours in a table of word vectors.

    Raises:
        ModelError: The checkpoint cannot be had or has no head that names words.
    """
    folder = fetch_model(config.model)
    way_out = "name one, or take augment.words, which needs none"
    model = load_masked_lm(folder, "transfer.augment.masked_words.model", way_out)
    tokenizer = load_tokenizer(folder)
    chosen = [
        [[draw.random() < config.fraction for _ in words] for _ in range(config.variants)]
        for words in texts
    ]
    places = [
        (number, position)
        for number, variants in enumerate(chosen)
        for position, in_variants in enumerate(zip(*variants, strict=True))
        if any(in_variants)
    ]
    likely = _likely_words(texts, places, config.top, model, tokenizer)
    for number, words in enumerate(texts):
        for variant in chosen[number]:
            yield [
                draw.choice(likely[number, position])
                if replace and likely.get((number, position))
                else word
                for position, (word, replace) in enumerate(zip(words, variant, strict=True))
            ]


def _likely_words(
    texts: list[list[str]],
    places: list[Place],
    top: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> dict[Place, list[str]]:
    """Return the likeliest whole words at each place but the one that stands there.

    Places beyond the model's longest input are left out.
    """
    whole = _whole_words(tokenizer)
    masked = [
        " ".join([*texts[n][:position], str(tokenizer.mask_token), *texts[n][position + 1 :]])
        for n, position in places
    ]
    positions = getattr(model.config, "max_position_embeddings", LONGEST_TOKENS)
    # RoBERTa's positions begin behind the padding id.
    max_length = min(LONGEST_TOKENS, positions - 2)
    encoded = tokenizer(masked, truncation=True, max_length=max_length)["input_ids"]
    asked = [row for row, ids in enumerate(encoded) if tokenizer.mask_token_id in ids]
    examples = TokenizedExamples([encoded[row] for row in asked], [0] * len(asked))
    collate = Collate(tokenizer.pad_token_id)
    batches = list(batches_by_length(examples, BATCH_SIZE))
    allowed = torch.tensor(sorted(whole))
    found: dict[Place, list[str]] = {}
    with (
        progress("Ask for words", total=len(batches), unit="batch") as bar,
        torch.inference_mode(),
    ):
        for rows in batches:
            batch = collate([examples[row] for row in rows])
            for row, ids in zip(rows, _best(model, tokenizer, batch, allowed, top), strict=True):
                number, position = place = places[asked[row]]
                there = texts[number][position].casefold()
                words = [whole[int(i)] for i in ids]
                found[place] = [word for word in words if word.casefold() != there][:top]
            bar.advance()
    return found


def _best(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch: dict[str, Tensor],
    allowed: Tensor,
    top: int,
) -> Tensor:
    """Return the likeliest allowed tokens, and one to spare. Shape: (batch, top + 1).

    The head reads the masked position only: the logits of a whole batch would take a gigabyte.
    """
    ids = batch["input_ids"]
    mask_positions = (ids == tokenizer.mask_token_id).int().argmax(dim=1)

    def at_mask(module: nn.Module, inputs: Any, output: BaseModelOutput) -> BaseModelOutput:
        assert output.last_hidden_state is not None
        rows = torch.arange(len(ids))
        output.last_hidden_state = output.last_hidden_state[rows, mask_positions, None]
        return output

    handle = model.base_model.register_forward_hook(at_mask)
    try:
        logits = model(input_ids=ids, attention_mask=batch["attention_mask"]).logits[:, 0, allowed]
    finally:
        handle.remove()
    return allowed[logits.topk(min(top + 1, len(allowed)), dim=1).indices]


def _whole_words(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the tokens that are words by themselves, whatever marks a beginning or a piece."""
    special = set(tokenizer.all_special_ids)
    texts = {number: str(tokenizer.decode([number])).strip() for number in range(len(tokenizer))}
    words = {n: text for n, text in texts.items() if n not in special and text.isalnum()}
    cuts = tokenizer([f" {word}" for word in words.values()], add_special_tokens=False)
    return {
        number: word
        for (number, word), ids in zip(words.items(), cuts["input_ids"], strict=True)
        if ids == [number]
    }

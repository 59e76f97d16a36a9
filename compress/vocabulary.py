"""Stage: remove the tokens that a text sample does not use, with their rows of the word table.

A text whose tokens were all kept is cut as before; any other falls to shorter tokens, in the end to
single characters, which are always kept. Why that holds depends on the kind of vocabulary, and
stands in its file.
"""

import copy
import json
import logging
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from . import unigram_vocabulary, word_piece_vocabulary
from .config import HEAD, TrimConfig
from .data import Examples, load_description, load_split, read_texts, write_text
from .errors import ModelError
from .folder import load_description as load_model_description
from .folder import load_model, load_tokenizer, save_model
from .texts import parts
from .word_factors import word_rows

logger = logging.getLogger(__name__)

TOKENIZER = "tokenizer.json"

# The kind of vocabulary -> the file that knows its form. Each has `numbers(model)`, the number of
# each token; `always_kept(model)`, the numbers that stay whatever a sample has; and
# `keep(model, new)`, which takes out of a model what has no new number.
VOCABULARIES = {"WordPiece": word_piece_vocabulary, "Unigram": unigram_vocabulary}


def trim(
    *, config: TrimConfig, data: Path, examples: Path, student: Path, out: Path
) -> dict[str, Any]:
    """Write `out/model`, which gives every text of kept tokens the logits that it had.

    Args:
        config: Which tokens stay.
        data: Folder of the data stage; its validation texts prove that nothing else changed.
        examples: Folder whose train.jsonl is the sample: the data or the transfer stage's.
        student: Folder of the stage that trained the model.
        out: Stage folder.

    Returns:
        Tokens, parameters and bytes before and after, and the fraction of validation texts that
        are cut as before.

    Raises:
        ModelError: The tokenizer is neither WordPiece nor Unigram.
        DataError: A table of further texts is not as the recipe says.
    """
    folder = student / "model"
    before = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    check_trimmable(before)
    texts = _single(load_split(examples, "train"))
    texts += [text for table in config.texts for text in read_texts(table)]
    said = load_description(data)
    # Of a text whose head is not all that is read, every token counts.
    max_length = said.max_length if said.truncation == HEAD else None
    full = _plain(before, max_length)
    kept = tokens_to_keep(before, _counts(full, texts), config.min_count)
    after = trimmed_tokenizer(before, kept)
    validation = _single(load_split(data, "validation"))
    cut_as_before = compare(full, _plain(after, max_length), kept, validation)

    model = load_model(folder)
    parameters_before = model.num_parameters()
    keep_rows(model, kept)
    save_model(model, load_tokenizer(folder), load_model_description(folder), out / "model")
    write_text(out / "model" / TOKENIZER, json.dumps(after, indent=2, ensure_ascii=False))
    bytes_before, bytes_after = (_bytes(path) for path in (folder, out / "model"))
    tokens_before = len(_numbers(before))
    logger.info("kept %d of %d tokens", len(kept), tokens_before)
    return {
        "tokens_before": tokens_before,
        "tokens": len(kept),
        "parameters_before": parameters_before,
        "parameters": model.num_parameters(),
        "bytes_saved": bytes_before - bytes_after,
        "bytes": bytes_after,
        "validation_texts_cut_as_before": cut_as_before,
    }


def check_trimmable(tokenizer: dict[str, Any]) -> None:
    """Refuse what this stage cannot rewrite.

    Args:
        tokenizer: Contents of a `tokenizer.json`.

    Raises:
        ModelError: It is neither WordPiece nor Unigram, or does something unknown after cutting.
    """
    kind = tokenizer["model"].get("type")
    if kind not in VOCABULARIES:
        raise ModelError(
            f"the tokenizer is of type {kind}, expected {' or '.join(VOCABULARIES)}, whose tokens "
            "can be removed one by one; leave out the trim section (trim=null)"
        )
    after = (tokenizer.get("post_processor") or {}).get("type")
    if after not in (None, *POST_PROCESSORS):
        raise ModelError(
            f"the tokenizer's post_processor is {after}, expected one of "
            f"{', '.join(POST_PROCESSORS)}; leave out the trim section (trim=null)"
        )


def tokens_to_keep(tokenizer: dict[str, Any], counts: Counter[int], min_count: int) -> list[int]:
    """Return the old numbers of the tokens that stay, in rising order.

    Special and added tokens, what the kind of vocabulary always needs, and all numbers up to the
    padding's stay whatever the counts say: position tables may be counted from the padding's
    number.

    Args:
        tokenizer: Contents of a `tokenizer.json`.
        counts: How often the sample has each token.
        min_count: How often it must have one to keep it.
    """
    numbers = _numbers(tokenizer)
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    always = {*added.values(), *_vocabulary(tokenizer).always_kept(tokenizer["model"])}
    padding = tokenizer.get("padding")
    names = [padding["pad_token"]] if padding else ["[PAD]", "<pad>"]
    last = max((n for name, n in (numbers | added).items() if name in names), default=-1)
    used = {number for number, count in counts.items() if count >= min_count}
    return sorted(always | used | set(range(last + 1)))


def trimmed_tokenizer(tokenizer: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """Return the contents of a `tokenizer.json` with only these tokens, numbered from 0."""
    new = {old: number for number, old in enumerate(kept)}
    trimmed = copy.deepcopy(tokenizer)
    _vocabulary(tokenizer).keep(trimmed["model"], new)
    for token in trimmed["added_tokens"]:
        token["id"] = new[token["id"]]
    if trimmed.get("padding"):
        trimmed["padding"]["pad_id"] = new[trimmed["padding"]["pad_id"]]
    after = trimmed.get("post_processor")
    if after:
        POST_PROCESSORS[after["type"]](after, new)
    return trimmed


def keep_rows(model: PreTrainedModel, kept: list[int]) -> None:
    """Keep only these rows of the word table."""
    table = word_rows(model)
    table.weight = nn.Parameter(table.weight.detach()[torch.tensor(kept)].clone())
    table.num_embeddings = len(kept)
    model.config.vocab_size = len(kept)
    new = {old: number for number, old in enumerate(kept)}
    for name in ("bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id"):
        if getattr(model.config, name, None) in new:
            setattr(model.config, name, new[getattr(model.config, name)])


def compare(full: Tokenizer, trimmed: Tokenizer, kept: list[int], texts: list[str]) -> float:
    """Return the fraction of texts that both tokenizers cut alike.

    Raises:
        ModelError: They differ on a text whose tokens were all kept.
    """
    new = {old: number for number, old in enumerate(kept)}
    alike = 0
    for text in texts:
        expected = [new.get(number) for number in full.encode(text).ids]
        if None in expected:
            continue
        alike += 1
        if trimmed.encode(text).ids != expected:
            raise ModelError(
                f"the trimmed tokenizer cuts {text!r} in another way, expected the same tokens; "
                "leave out the trim section (trim=null) and report this tokenizer"
            )
    return alike / len(texts)


def _number_pairs(processor: dict[str, Any], new: dict[int, int]) -> None:
    for name in ("sep", "cls"):
        token, number = processor[name]
        processor[name] = [token, new[number]]


def _number_template(processor: dict[str, Any], new: dict[int, int]) -> None:
    for token in processor["special_tokens"].values():
        token["ids"] = [new[number] for number in token["ids"]]


# What puts the special tokens around a text -> how its numbers are rewritten.
POST_PROCESSORS = {
    "TemplateProcessing": _number_template,
    "BertProcessing": _number_pairs,
    "RobertaProcessing": _number_pairs,
}


def _vocabulary(tokenizer: dict[str, Any]) -> ModuleType:
    return VOCABULARIES[tokenizer["model"]["type"]]


def _numbers(tokenizer: dict[str, Any]) -> dict[str, int]:
    numbers: dict[str, int] = _vocabulary(tokenizer).numbers(tokenizer["model"])
    return numbers


def _plain(contents: dict[str, Any], max_length: int | None) -> Tokenizer:
    """Build a tokenizer that pads nothing and cuts off at `max_length` tokens, or never."""
    tokenizer = Tokenizer.from_str(json.dumps(contents))
    tokenizer.no_padding()
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length)
    return tokenizer


def _counts(tokenizer: Tokenizer, texts: list[str]) -> Counter[int]:
    encodings = (tokenizer.encode(text) for text in texts)
    return Counter(number for encoding in encodings for number in encoding.ids)


def _single(examples: Examples) -> list[str]:
    return [part for text in examples.texts for part in parts(text)]


def _bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in (TOKENIZER, "model.safetensors"))

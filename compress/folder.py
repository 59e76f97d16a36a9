"""The model folder: what torch-side stages hand to each other.

`config.json`, `model.safetensors`, the tokenizer's files, and `pocketbert.json` with the labels,
the widths of pruned layers and of a pruned residual stream, the rank of a factorised word table and
a bias on distances, which transformers' own configuration cannot say.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    EncoderDecoderModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from .bilstm import BilstmClassifier, BilstmModelConfig
from .chinese_words import split_chinese
from .config import HEAD, TASK_KINDS, Truncation
from .embedder import AutoEmbedder, Embedder, embedder_of, project_nothing
from .errors import ModelError
from .relative_bias import relative_buckets, use_relative_bias
from .sentence_transformers import read_modules, write_modules
from .surgery import keep_hidden, shrink_to
from .word_factors import use_factors

# A new head is always missing from a checkpoint, and small files need no bar of their own.
hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()

AutoConfig.register(BilstmModelConfig.model_type, BilstmModelConfig)
AutoModelForSequenceClassification.register(BilstmModelConfig, BilstmClassifier)


@dataclass(frozen=True)
class ModelDescription:
    """What `pocketbert.json` says.

    Attributes:
        labels: Label names in the order of the logits.
        max_length: Longest input in tokens.
        widths: Per layer the heads and neurons that pruning left; empty for an unpruned model.
        embedding_rank: Rank of the word table's two factors; None for an ordinary table.
        hidden_size: Width that pruning left of the residual stream; None if it is that of
            `config.json`, which keeps the unpruned one: head sizes follow from it.
        relative_buckets: Buckets of distances that attention has a bias on; None for BERT's own.
            `save_model` finds it out itself.
        kind: The kind of task.
        truncation: What is read of a text beyond `max_length`.
        thresholds: Of a teacher: logits from which on each label is given, where that is how labels
            are given. Those of other models are chosen when they are exported.
    """

    labels: tuple[str, ...]
    max_length: int
    widths: list[dict[str, int]] = field(default_factory=list)
    embedding_rank: int | None = None
    hidden_size: int | None = None
    relative_buckets: int | None = None
    kind: str = "text-classification"
    truncation: Truncation = HEAD
    thresholds: tuple[float, ...] = ()


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    description: ModelDescription,
    folder: Path,
) -> None:
    """Write a model folder.

    That of a model that answers with vectors is one of sentence-transformers too, as long as its
    shape is what transformers knows: not pruned, not factorised, without a bias on distances.
    """
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    description = replace(description, relative_buckets=relative_buckets(model))
    odd = (description.hidden_size, description.embedding_rank, description.relative_buckets)
    if isinstance(model, Embedder) and not description.widths and odd == (None, None, None):
        write_modules(model, description.max_length, folder)
    said = {name: value for name, value in asdict(description).items() if value is not None}
    (folder / "pocketbert.json").write_text(json.dumps(said, indent=2))


def load_description(folder: Path) -> ModelDescription:
    """Read `pocketbert.json`."""
    found = json.loads((folder / "pocketbert.json").read_text())
    return ModelDescription(
        tuple(found["labels"]),
        found["max_length"],
        found["widths"],
        found.get("embedding_rank"),
        found.get("hidden_size"),
        found.get("relative_buckets"),
        found.get("kind", "text-classification"),  # older folders knew no other
        Truncation(**found.get("truncation", {})),
        tuple(found.get("thresholds", ())),
    )


def load_model(folder: Path) -> PreTrainedModel:
    """Rebuild a model in eval mode, pruned and factorised shapes included.

    Raises:
        ModelError: The folder is no model folder of pocketbert.
    """
    if not (folder / "pocketbert.json").is_file():
        raise ModelError(
            f"{folder} has no pocketbert.json, expected a model folder written by pocketbert"
        )
    description = load_description(folder)
    if TASK_KINDS[description.kind].generates:
        return _load_translator(folder)
    config = AutoConfig.from_pretrained(folder)
    model: PreTrainedModel = auto_class(description.kind).from_config(config)
    if description.relative_buckets is not None:
        use_relative_bias(model, description.relative_buckets)
    if description.hidden_size is not None:
        keep_hidden(model, torch.arange(description.hidden_size))
    if description.widths:
        shrink_to(model, description.widths)
    if description.embedding_rank is not None:
        use_factors(model, description.embedding_rank)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.eval()
    return model


def _load_translator(folder: Path) -> PreTrainedModel:
    # The library's own way, which knows that the decoder's words are written as they are read.
    model: PreTrainedModel = EncoderDecoderModel.from_pretrained(folder, use_safetensors=True)
    model.eval()
    return model


def load_tokenizer(folder: Path, chinese_words: bool = False) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a model folder or checkpoint.

    Args:
        folder: Where it is.
        chinese_words: Every Chinese character is to be a word; a model folder's own tokenizer knows
            by itself.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, use_fast=True)
    if chinese_words:
        split_chinese(tokenizer)
    return tokenizer


def auto_class(kind: str) -> Any:
    """Return transformers' class that builds models for a kind of task."""
    if TASK_KINDS[kind].vectors:
        return AutoEmbedder
    if TASK_KINDS[kind].per_word:
        return AutoModelForTokenClassification
    return AutoModelForSequenceClassification


def load_checkpoint(
    folder: Path,
    labels: tuple[str, ...],
    kind: str = "text-classification",
    vector_width: int | None = None,
) -> PreTrainedModel:
    """Put a new head on any encoder that the auto classes know.

    Args:
        folder: Checkpoint folder with safetensors weights.
        labels: What the logits are called; they become the model's `id2label`.
        kind: The kind of task.
        vector_width: Length of the vectors, where it answers with some; by default its own.

    Raises:
        ModelError: transformers knows no classifier for this architecture, or the weights do not
            load.
    """
    if TASK_KINDS[kind].vectors:
        return _load_embedder(folder, vector_width)
    problem_type = TASK_KINDS[kind].problem_type
    told: dict[str, Any] = {"problem_type": problem_type} if problem_type else {}
    if TASK_KINDS[kind].context:  # transformers' class for questions has this name for its head
        told["key_mapping"] = {r"^qa_outputs\.": "classifier."}
    try:
        model: PreTrainedModel = auto_class(kind).from_pretrained(
            folder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            **told,
        )
    except (OSError, ValueError) as error:
        raise _no_encoder(folder, error) from error
    return model


def _load_embedder(folder: Path, width: int | None) -> PreTrainedModel:
    """Load an encoder with what follows on it: its folder's pooling, a projection to the width."""
    modules = read_modules(folder)
    try:
        config = AutoConfig.from_pretrained(folder)
        own_width = len(modules.weight) if modules and modules.weight is not None else None
        config.num_labels = width or own_width or config.hidden_size
        config.pooling = modules.pooling if modules else getattr(config, "pooling", "mean")
        model, found = embedder_of(config.model_type).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise _no_encoder(folder, error) from error
    head = model.classifier
    if modules and modules.weight is not None and modules.weight.shape == head.weight.shape:
        head.weight.data.copy_(modules.weight)
        head.bias.data.copy_(0 if modules.bias is None else modules.bias)
    elif head.in_features == head.out_features and _lacks_head(found):
        project_nothing(model)
    loaded: PreTrainedModel = model
    return loaded


def _lacks_head(found: Any) -> bool:
    """Say whether a checkpoint had no projection, or one of another size."""
    sized = {entry[0] for entry in found["mismatched_keys"]}
    return "classifier.weight" in set(found["missing_keys"]) | sized


def _no_encoder(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{folder} does not load as an encoder ({str(error).splitlines()[0]}), expected "
        "config.json and model.safetensors of a BERT-family model"
    )

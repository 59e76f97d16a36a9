"""The model folder: what torch-side stages hand to each other.

`config.json`, `model.safetensors`, the tokenizer's files, and `pocketbert.json` with the labels and
the widths of pruned layers, which transformers' own configuration cannot say.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from .bilstm import BilstmClassifier, BilstmModelConfig
from .errors import ModelError
from .surgery import shrink_to

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
    """

    labels: tuple[str, ...]
    max_length: int
    widths: list[dict[str, int]] = field(default_factory=list)


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    description: ModelDescription,
    folder: Path,
) -> None:
    """Write a model folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "pocketbert.json").write_text(json.dumps(asdict(description), indent=2))


def load_description(folder: Path) -> ModelDescription:
    """Read `pocketbert.json`."""
    found = json.loads((folder / "pocketbert.json").read_text())
    return ModelDescription(tuple(found["labels"]), found["max_length"], found["widths"])


def load_model(folder: Path) -> PreTrainedModel:
    """Rebuild a model in eval mode, pruned shapes included.

    Raises:
        ModelError: The folder is no model folder of pocketbert.
    """
    if not (folder / "pocketbert.json").is_file():
        raise ModelError(
            f"{folder} has no pocketbert.json, expected a model folder written by pocketbert"
        )
    config = AutoConfig.from_pretrained(folder)
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    widths = load_description(folder).widths
    if widths:
        shrink_to(model, widths)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.eval()
    return model


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a model folder or checkpoint."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, use_fast=True)
    return tokenizer


def load_checkpoint(folder: Path, labels: tuple[str, ...]) -> PreTrainedModel:
    """Put a new classification head on any encoder that the auto classes know.

    Args:
        folder: Checkpoint folder with safetensors weights.
        labels: Label names; they become the model's `id2label`.

    Raises:
        ModelError: transformers knows no classifier for this architecture, or the weights do not
            load.
    """
    try:
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            use_safetensors=True,
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} does not load as an encoder ({str(error).splitlines()[0]}), expected "
            "config.json and model.safetensors of a BERT-family model"
        ) from error
    return model

"""A classifier that someone else trained becomes a model folder, so that all here can read it."""

from pathlib import Path

from transformers import AutoModelForSequenceClassification

from .errors import ModelError
from .folder import ModelDescription, load_tokenizer, save_model

MOST_TOKENS = 100_000  # tokenizers without a limit state an absurd one


def adopt_checkpoint(
    checkpoint: Path, out: Path, labels: tuple[str, ...] | None, max_length: int | None
) -> None:
    """Write a transformers checkpoint with a trained classification head as a model folder.

    Args:
        checkpoint: Folder with `config.json`, safetensors weights and tokenizer files.
        out: The model folder to write.
        labels: Label names in the order of the logits; by default those of its `id2label`.
        max_length: Longest input in tokens; by default what its tokenizer or positions allow.

    Raises:
        ModelError: It does not load, has no trained classification head, or other labels.
    """
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            checkpoint, use_safetensors=True, output_loading_info=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{checkpoint} does not load as a classifier ({str(error).splitlines()[0]}), expected "
            "config.json and model.safetensors of a transformers checkpoint"
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(
            f"{checkpoint} lacks {', '.join(missing)}, expected a trained sequence classifier; "
            "train it first"
        )
    own = tuple(name for _, name in sorted(model.config.id2label.items()))
    if labels and len(labels) != len(own):
        raise ModelError(
            f"{checkpoint} answers with {len(own)} logits, expected {len(labels)} for the labels "
            f"{', '.join(labels)}; correct --labels"
        )
    tokenizer = load_tokenizer(checkpoint)
    if max_length is None:
        stated = [tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 0)]
        limits = [limit for limit in stated if 0 < limit < MOST_TOKENS]
        if not limits:
            raise ModelError(
                f"{checkpoint} does not say how long its inputs may be, expected a limit; give "
                "--max-length"
            )
        max_length = min(limits)
    save_model(model, tokenizer, ModelDescription(labels or own, max_length), out)

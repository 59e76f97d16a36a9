"""Learning which label a text has."""

from pathlib import Path
from typing import Any

from transformers import set_seed

from ..batches import tokenize
from ..config import TeacherConfig
from ..data import load_description, load_split
from ..fetch import fetch_model
from ..folder import ModelDescription, load_checkpoint, load_tokenizer, save_model
from ..summary import summarize
from ..training import fit, forget_checkpoints


def fine_tune(*, config: TeacherConfig, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Put a new classifier on a checkpoint, train both and write a model folder to `out/model`.

    Returns:
        Parameters, bytes, steps and validation accuracy with its interval.
    """
    description = load_description(data)
    folder = fetch_model(config.model)
    tokenizer = load_tokenizer(folder)
    set_seed(seed)
    model = load_checkpoint(folder, description.labels)
    train, validation = (
        tokenize(load_split(data, split), tokenizer, description.max_length)
        for split in ("train", "validation")
    )
    result = fit(
        model,
        train,
        validation,
        tokenizer,
        config.training,
        seed=seed,
        folder=out / "checkpoints",
        title="Fine-tune teacher",
    )
    save_model(
        model,
        tokenizer,
        ModelDescription(description.labels, description.max_length),
        out / "model",
    )
    forget_checkpoints(out / "checkpoints")
    return summarize(model, result, len(validation))

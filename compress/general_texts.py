"""Stage: plain texts that a student learns from before any task."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from .config import UnlabelledConfig
from .data import load_description, load_split, read_texts, write_text
from .errors import DataError
from .labelling import UNLABELLED
from .split import normalise, split_position

logger = logging.getLogger(__name__)

# What transformers calls the classes of a head that nobody named; no task is known here.
NO_LABELS = ("LABEL_0", "LABEL_1")


def gather_texts(
    *, texts: tuple[UnlabelledConfig, ...], validation: float, data: Path, out: Path
) -> dict[str, Any]:
    """Write `train.jsonl`, `validation.jsonl` and `data.json` as the data stage does, unlabelled.

    A text that stands in the task's validation or test split, or twice, is dropped.

    Args:
        texts: Tables of plain texts.
        validation: Fraction held out for choosing; the text alone decides which.
        data: Folder of the data stage, for its held-out texts and the longest input.
        out: Stage folder.

    Returns:
        Texts for learning and for choosing, and how many were dropped and why.

    Raises:
        DataError: A table is not as the recipe says, or no text is left for learning or choosing.
    """
    held_out = {
        normalise(text)
        for split in (load_split(data, "validation"), load_split(data, "test"))
        for text in split.texts
    }
    known: set[str] = set()
    splits: dict[str, list[str]] = {"train": [], "validation": []}
    counts = {"dropped_held_out": 0, "dropped_duplicates": 0}
    for text in (text for table in texts for text in read_texts(table)):
        key = normalise(text)
        if key in held_out:
            counts["dropped_held_out"] += 1
        elif key in known:
            counts["dropped_duplicates"] += 1
        else:
            known.add(key)
            # Another position than the data stage's, whose low ones are held out of the task.
            chosen = split_position(f"general {key}") < validation
            splits["validation" if chosen else "train"].append(text)
    for name, kept in splits.items():
        if not kept:
            raise DataError(
                f"general.texts leave no text for {name} ({len(known):,} in all, "
                f"{counts['dropped_held_out']:,} dropped because the task holds them out), "
                "expected some; add texts, or change general.validation"
            )
    sizes = {name: len(kept) for name, kept in splits.items()}
    description = {
        "labels": NO_LABELS,
        "max_length": load_description(data).max_length,
        "sizes": sizes,
        "fingerprint": _write_splits(splits, out),
    }
    write_text(out / "data.json", json.dumps(description, indent=2))
    logger.info("plain texts: %s", ", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    return sizes | counts


def _write_splits(splits: dict[str, list[str]], out: Path) -> str:
    digest = hashlib.sha256()
    for name, texts in splits.items():
        lines = "".join(
            json.dumps({"text": text, "label": UNLABELLED}, ensure_ascii=False) + "\n"
            for text in texts
        )
        write_text(out / f"{name}.jsonl", lines)
        digest.update(f"{name}\n{lines}".encode())
    return digest.hexdigest()

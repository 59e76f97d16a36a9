"""Stage: the texts a student learns from when the training split is not all there is."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .augment import augment
from .config import TransferConfig
from .data import load_description, load_split, read_texts, write_text
from .labelling import LABELLINGS
from .split import normalise

logger = logging.getLogger(__name__)


def build_transfer_set(
    *, config: TransferConfig, seed: int, data: Path, out: Path
) -> dict[str, Any]:
    """Write `train.jsonl`: the training split, then further texts with the label -100.

    A text that stands in the validation or test split, or twice, is dropped.

    Args:
        config: Which texts are added.
        seed: For the augmenters' choices.
        data: Folder of the data stage.
        out: Stage folder.

    Returns:
        How many texts each kind added, how many were dropped and why, and which share of the new
        texts stood in a held-out split: of those proposed, and of those written, which is 0.

    Raises:
        DataError: A table of unlabelled texts is not as the recipe says.
        ModelError: A model that proposes words cannot be used.
    """
    train = load_split(data, "train")
    held_out = {
        normalise(text)
        for held_out_split in (load_split(data, "validation"), load_split(data, "test"))
        for text in held_out_split.texts
    }
    known = {normalise(text) for text in train.texts}
    records = [
        {"text": text, "label": label}
        for text, label in zip(train.texts, train.labels.tolist(), strict=True)
    ]
    description = load_description(data)
    unlabelled = LABELLINGS[description.kind].unlabelled(description.labels)
    counts = {"labelled": len(records), "dropped_held_out": 0, "dropped_duplicates": 0}
    proposed = 0
    single = [text for text in train.texts if isinstance(text, str)]  # recipes refuse pairs here
    for kind, texts in _further_texts(config, single, seed):
        counts[kind] = 0
        for text in texts:
            proposed += 1
            key = normalise(text)
            if key in held_out:
                counts["dropped_held_out"] += 1
            elif key in known:
                counts["dropped_duplicates"] += 1
            else:
                known.add(key)
                counts[kind] += 1
                records.append({"text": text, "label": unlabelled})
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_text(out / "train.jsonl", lines)
    logger.info("transfer texts: %s", ", ".join(f"{kind} {n:,}" for kind, n in counts.items()))
    kept = [normalise(text) for text in load_split(out, "train").texts[len(train) :]]
    return counts | {
        "held_out_share_proposed": _share(counts["dropped_held_out"], proposed),
        "held_out_share": _share(sum(key in held_out for key in kept), len(kept)),
    }


def _further_texts(
    config: TransferConfig, train: list[str], seed: int
) -> Iterable[tuple[str, Iterable[str]]]:
    if config.unlabelled:
        yield "unlabelled", (text for table in config.unlabelled for text in read_texts(table))
    if config.augment is not None:
        yield "augmented", augment(train, config.augment, seed)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

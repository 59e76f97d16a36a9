"""Thresholds of labels, chosen on the validation split and kept beside an exported model."""

import json
import shutil
from pathlib import Path

from pocketbert.compress.config import TASK_KINDS
from pocketbert.compress.data import DataDescription, Examples

from .bundle import THRESHOLDS
from .engine import Engine

BATCH_SIZE = 16


def write_thresholds(exported: Path, description: DataDescription, validation: Examples) -> None:
    """Choose them where a task gives labels by thresholds; others get no file."""
    if not TASK_KINDS[description.kind].thresholds:
        return
    engine = Engine.from_onnx(
        exported,
        description.labels,
        description.max_length,
        kind=description.kind,
        truncation=description.truncation,
    )
    chosen = engine.best_thresholds(validation.texts, validation.labels, BATCH_SIZE)
    (exported / THRESHOLDS).write_text(json.dumps(chosen) + "\n")


def copy_thresholds(exported: Path, out: Path) -> None:
    """Let a model that was made of an exported one keep its thresholds."""
    if (exported / THRESHOLDS).is_file():
        shutil.copyfile(exported / THRESHOLDS, out / THRESHOLDS)

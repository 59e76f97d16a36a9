"""Stage: fine-tune the full model on the task."""

from pathlib import Path
from typing import Any

from .config import TeacherConfig
from .data import load_description
from .tasks import TASKS


def train_teacher(*, config: TeacherConfig, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Fine-tune a checkpoint on the training split and write `out/model`.

    Args:
        config: The checkpoint and its training.
        seed: For the new head, the order of batches and dropout.
        data: Folder of the data stage.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        Parameters, bytes, steps and how good it is on the validation split, in terms of the task.

    Raises:
        ModelError: The checkpoint cannot learn this kind of task.
    """
    task = TASKS[load_description(data).kind]
    return task.fine_tune(config=config, seed=seed, data=data, out=out)

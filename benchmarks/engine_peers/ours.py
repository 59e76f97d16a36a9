"""A bundle, opened as a program opens it; token ids go past the tokenizer to the runner."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pocketbert.deploy.engine import Engine


def open_engine(
    engine: str, folder: Path, source: dict[str, str], threads: int
) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    opened = Engine.open(folder, source["target"] or None, threads)
    print(opened.describe())
    return opened._runner.run  # peers are measured without their tokenizers too

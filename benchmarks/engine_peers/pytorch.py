"""PyTorch: eager in FP32, and torch.compile with BF16 autocast, for texts of any length.

Runs in pocketbert's environment, because only its own classes load a pruned model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pocketbert.compress.folder import load_model


def build(source: dict[str, str], out: Path) -> None:
    """Nothing: PyTorch runs the weights."""


def open_engine(
    engine: str, folder: Path, source: dict[str, str], threads: int
) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    torch.set_num_threads(threads)
    model = load_model(Path(source["model"])).eval()
    if engine == "compile_bf16":
        model = torch.compile(model, dynamic=True)  # its default comes to this at the second length

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(ids) for name, ids in inputs.items()}
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=engine == "compile_bf16"),
        ):
            logits: np.ndarray = model(**tensors).logits.float().numpy()
        return logits

    return run

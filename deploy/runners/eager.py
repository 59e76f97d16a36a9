"""Runs a model folder in PyTorch: the baseline that every engine is compared with."""

import inspect
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pocketbert.compress.folder import load_model


class EagerRunner:
    """transformers as it is used without any deployment: its default attention, in float32.

    Args:
        model_folder: The model folder.
        threads: Threads of one inference; PyTorch keeps one number for the whole process.
    """

    def __init__(self, model_folder: Path, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self._model = load_model(model_folder)
        self._parameters = set(inspect.signature(self._model.forward).parameters)

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Compute logits (batch, labels)."""
        tensors = {
            name: torch.from_numpy(array)
            for name, array in inputs.items()
            if name in self._parameters
        }
        with torch.inference_mode():
            logits: NDArray[np.float32] = self._model(**tensors).logits.numpy()
        return logits

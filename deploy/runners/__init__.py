"""What computes logits; a runner's library is imported only when that runner is opened."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Runner(Protocol):
    """Computes the logits of a tokenised batch."""

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Compute logits.

        Args:
            inputs: `input_ids`, `attention_mask` and `token_type_ids`, each (batch, seq); those
                that the model does not have are ignored.

        Returns:
            Logits (batch, labels).
        """


RUNNERS: dict[str, str] = {
    "onnxruntime": "pocketbert.deploy.runners.ort:OrtRunner",
    "eager": "pocketbert.deploy.runners.eager:EagerRunner",
}


def open_runner(runtime: str, *args: Any, **options: Any) -> Runner:
    """Open a runner of the table, with the arguments of its class."""
    module, name = RUNNERS[runtime].split(":")
    runner: Runner = getattr(import_module(module), name)(*args, **options)
    return runner

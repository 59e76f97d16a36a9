"""What computes logits; a runner's library is imported only when that runner is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

from ..bundle import Target


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


@dataclass(frozen=True)
class Row:
    """A runtime.

    Attributes:
        open_target: `module:function` of (root of the bundle, target, threads) -> Runner.
        package: What it imports.
        install: How the package is had.
    """

    open_target: str
    package: str
    install: str


RUNNERS: dict[str, Row] = {
    "onnxruntime": Row(
        "pocketbert.deploy.runners.ort:open_target", "onnxruntime", "pip install onnxruntime"
    ),
    "openvino": Row(
        "pocketbert.deploy.runners.openvino:open_target",
        "openvino",
        "pip install 'pocketbert[openvino]'",
    ),
}


def why_not(runtime: str) -> str | None:
    """Say why a runtime cannot be used on this machine; None if it can."""
    row = RUNNERS[runtime]
    if find_spec(row.package) is None:
        return f"{row.package} is not installed ({row.install})"
    return None


def open_target(root: Path, target: Target, threads: int) -> Runner:
    """Open a target of a bundle.

    Args:
        root: The bundle's folder.
        target: As the manifest says it.
        threads: Threads of one inference.

    Raises:
        BundleError: Its runtime is not installed or refuses the file.
    """
    reason = why_not(target.runtime)
    if reason:
        raise BundleError(f"the target {target.name} cannot run here, {reason}")
    module, function = RUNNERS[target.runtime].open_target.split(":")
    opened: Any = getattr(import_module(module), function)(root, target, threads)
    runner: Runner = opened
    return runner

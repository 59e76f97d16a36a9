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

from ..bundle import Bundle, Target
from ..writing import Writer


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
        why_not: `module:function` that says what else this machine lacks, or None; empty if a
            runtime needs nothing else.
        build: `module:function` of (bundle, target, rebuild, fallback) -> what was done, that
            builds on this machine what opening needs; empty if targets run as they are.
        why_not_built: `module:function` of (root, target) that says why that is not there, or None.
        per_word: Whether it gives back logits of every word, and not of whole texts alone.
        open_writer: `module:function` of the same that opens what writes texts; empty if nothing
            does.
    """

    open_target: str
    package: str
    install: str
    why_not: str = ""
    build: str = ""
    why_not_built: str = ""
    per_word: bool = True
    open_writer: str = ""


RUNNERS: dict[str, Row] = {
    "onnxruntime": Row(
        "pocketbert.deploy.runners.ort:open_target",
        "onnxruntime",
        "pip install onnxruntime",
        open_writer="pocketbert.deploy.runners.ort_writer:open_target",
    ),
    "openvino": Row(
        "pocketbert.deploy.runners.openvino:open_target",
        "openvino",
        "pip install 'pocketbert[openvino]'",
    ),
    "tensorrt": Row(
        "pocketbert.deploy.runners.tensorrt:open_target",
        "tensorrt",
        "pip install 'pocketbert[tensorrt]'",
        why_not="pocketbert.deploy.tensorrt_gpu:why_no_gpu",
        build="pocketbert.deploy.tensorrt_here:build",
        why_not_built="pocketbert.deploy.tensorrt_here:why_not_built",
        per_word=False,
    ),
}


def why_not(runtime: str) -> str | None:
    """Say why a runtime cannot be used on this machine; None if it can."""
    row = RUNNERS[runtime]
    if find_spec(row.package) is None:
        return f"{row.package} is not installed ({row.install})"
    return _named(row.why_not)() if row.why_not else None


def why_not_answering(runtime: str, per_word: bool) -> str | None:
    """Say why a runtime cannot answer a task, per word or per text; None if it can."""
    if per_word and not RUNNERS[runtime].per_word:
        return f"{runtime}'s runner takes one answer a text, and this task has one for every word"
    return None


def needs_building(runtime: str) -> bool:
    """Say whether a runtime's targets are built on the machine that runs them."""
    return bool(RUNNERS[runtime].build)


def why_not_built(root: Path, target: Target) -> str | None:
    """Say why a target cannot be opened although its runtime is here; None if it can."""
    row = RUNNERS[target.runtime]
    reason: str | None = _named(row.why_not_built)(root, target) if row.why_not_built else None
    return reason


def build_here(bundle: Bundle, target: Target, rebuild: bool, fallback: str | None) -> str:
    """Build on this machine what a target needs there.

    Args:
        bundle: A verified bundle.
        target: One of its targets, of a runtime that needs building.
        rebuild: Build it also if it is there.
        fallback: Target that will run if this one does not build.

    Returns:
        What was done.

    Raises:
        BundleError: It does not build.
    """
    said: str = _named(RUNNERS[target.runtime].build)(bundle, target, rebuild, fallback)
    return said


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
    runner: Runner = _named(RUNNERS[target.runtime].open_target)(root, target, threads)
    return runner


def open_writer(root: Path, target: Target, threads: int) -> Writer:
    """Open a target of a bundle that writes texts; arguments are those of `open_target`.

    Raises:
        BundleError: Its runtime is not installed, refuses a file or writes no texts.
    """
    reason = why_not(target.runtime)
    function = RUNNERS[target.runtime].open_writer
    if reason or not function:
        reason = reason or f"{target.runtime}'s runner writes no texts"
        raise BundleError(f"the target {target.name} cannot run here, {reason}")
    writer: Writer = _named(function)(root, target, threads)
    return writer


def open_writing_folder(folder: Path, threads: int) -> Writer:
    """Open a model folder that writes texts in PyTorch."""
    writer: Writer = _named("pocketbert.deploy.runners.eager_writer:EagerWriter")(folder, threads)
    return writer


def open_model_folder(folder: Path, threads: int) -> Runner:
    """Open a model folder in PyTorch, which nothing else on a device imports."""
    runner: Runner = _named("pocketbert.deploy.runners.eager:EagerRunner")(folder, threads)
    return runner


def _named(name: str) -> Any:
    module, function = name.split(":")
    return getattr(import_module(module), function)

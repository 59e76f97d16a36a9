"""What is measured: a model at one stage of its way to the device, opened as an engine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pocketbert.compress.config import ADDED_LATER, HEAD, Truncation
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.engine import Engine, choose_target
from pocketbert.deploy.graph_files import MODEL, graphs_of


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model at one stage.

    Attributes:
        name: Short name, also the stem of its files: `teacher-pytorch`.
        title: Name in the report: `Teacher, PyTorch`.
        kind: `model` is a model folder run by PyTorch, `onnx` a folder with `model.onnx` and
            `tokenizer.json`, `bundle` what ships.
        folder: Where it is.
        model_folder: Model folder that it was made from, whose parameters are counted, if known.
        target: Of a bundle, the target that is measured; None is the best that runs here.
        file: Of the kind `onnx`, the model's file in its folder.
    """

    name: str
    title: str
    kind: Literal["model", "onnx", "bundle"]
    folder: str
    model_folder: str | None = None
    target: str | None = field(default=None, metadata=ADDED_LATER)
    file: str = field(default="model.onnx", metadata=ADDED_LATER)


def open_artifact(
    artifact: Artifact,
    labels: tuple[str, ...],
    max_length: int,
    threads: int,
    kind: str = "text-classification",
    truncation: Truncation = HEAD,
) -> Engine:
    """Open an artifact; only the kind `model` needs PyTorch.

    Args:
        artifact: What to open.
        labels: Label names, for a kind that does not carry its own.
        max_length: Longest input in tokens, for a kind that does not carry its own.
        threads: Threads of one inference.
        kind: The kind of task, for an artifact that does not say it.
        truncation: What is read of a longer text, for a kind that does not carry its own.
    """
    folder = Path(artifact.folder)
    if artifact.kind == "model":
        return Engine.from_model_folder(folder, threads=threads)
    if artifact.kind == "onnx":
        return Engine.from_onnx(
            folder, labels, max_length, threads, kind, truncation, artifact.file
        )
    return Engine.open(folder, artifact.target, threads)


def weights_bytes(artifact: Artifact) -> int:
    """Size of the file that holds an artifact's weights; of a bundle of the target measured."""
    folder = Path(artifact.folder)
    if artifact.kind == "model":
        return (folder / "model.safetensors").stat().st_size
    if artifact.kind == "onnx":
        # Weights beyond 2 GB stand in a file of their own, `model.onnx_data` or `model.onnx.data`.
        files = {artifact.file, *graphs_of(folder)} if artifact.file == MODEL else {artifact.file}
        return sum(path.stat().st_size for name in files for path in folder.glob(f"{name}*"))
    return choose_target(read_bundle(folder), artifact.target)[0].bytes

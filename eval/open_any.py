"""What lies at a path: a bundle, a model folder, a checkpoint, or an ONNX model with tokenizer."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pocketbert.compress.errors import ModelError, UserError
from pocketbert.deploy.bundle import MANIFEST, TOKENIZER, read_bundle
from pocketbert.deploy.tokenizer import Tokenizer

from .artifacts import Artifact

INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
CONFIG = "config.json"
POSITIONS = "max_position_embeddings"


def artifact_at(
    path: Path,
    scratch: Path,
    *,
    labels: tuple[str, ...] | None = None,
    max_length: int | None = None,
    target: str | None = None,
) -> tuple[Artifact, tuple[str, ...], int]:
    """Find out what can be measured at a path.

    Args:
        path: Folder, or an ONNX file with `tokenizer.json` beside it.
        scratch: Folder for the model folder that a checkpoint becomes.
        labels: Label names, for a model that does not carry its own.
        max_length: Longest input in tokens, for a model that does not carry its own.
        target: Of a bundle, the target that is measured.

    Returns:
        The artifact, its labels, and its longest input in tokens.

    Raises:
        UserError: Nothing known lies there, or it does not carry what has to be told.
    """
    kind = _kind(path)
    if target and kind != "bundle":
        raise UserError(f"{path} is no bundle, expected one for --target; leave --target out")
    if kind == "bundle":
        manifest = read_bundle(path).manifest
        _refuse_told(path, labels, max_length)
        found = Artifact(name=path.name, title="Bundle", kind="bundle", folder=str(path))
        return _of_target(found, target), manifest.labels, manifest.max_length
    if kind == "model":
        _refuse_told(path, labels, max_length)
        return _model(path, path.name)
    if kind == "checkpoint":
        adopt: Any = import_module("pocketbert.compress.checkpoint")
        adopt.adopt_checkpoint(path, scratch, labels, max_length)
        return _model(scratch, path.name)
    return _onnx(path, labels, max_length)


def _kind(path: Path) -> str:
    if path.suffix == ".onnx" and path.is_file():
        return "onnx"
    for file, kind in (
        (MANIFEST, "bundle"),
        ("pocketbert.json", "model"),
        ("model.onnx", "onnx"),
        (CONFIG, "checkpoint"),
    ):
        if (path / file).is_file():
            return kind
    raise UserError(
        f"{path} holds nothing that can be measured, expected the folder of a bundle, a model "
        "folder, a transformers checkpoint, or an ONNX model with its tokenizer.json"
    )


def _of_target(found: Artifact, target: str | None) -> Artifact:
    return Artifact(
        name=f"{found.name}-{target}" if target else found.name,
        title=found.title,
        kind=found.kind,
        folder=found.folder,
        target=target,
    )


def _model(folder: Path, name: str) -> tuple[Artifact, tuple[str, ...], int]:
    about = json.loads((folder / "pocketbert.json").read_text())
    found = Artifact(name=name, title="Model", kind="model", folder=str(folder))
    return found, tuple(about["labels"]), about["max_length"]


def _onnx(
    path: Path, labels: tuple[str, ...] | None, max_length: int | None
) -> tuple[Artifact, tuple[str, ...], int]:
    """An ONNX model of anyone, whose `config.json` may say what is not told."""
    folder, file = (path.parent, path.name) if path.is_file() else (path, "model.onnx")
    if not (folder / TOKENIZER).is_file():
        raise ModelError(f"{folder} has no {TOKENIZER}, expected the model's own beside {file}")
    said = _said(folder / CONFIG)
    if labels is None and "id2label" in said:
        labels = tuple(name for _, name in sorted(said["id2label"].items(), key=_number))
    if labels is None:
        raise ModelError(
            f"{path} does not say its labels, expected them in the order of the logits; give "
            "--labels no,yes"
        )
    # A RoBERTa has two positions more than its tokenizer says it may use.
    limits = (_said(folder / "tokenizer_config.json").get("model_max_length"), said.get(POSITIONS))
    max_length = max_length or min((limit for limit in limits if limit), default=None)
    if max_length is None:
        raise ModelError(
            f"{path} does not say how long its inputs may be, expected a limit; give --max-length"
        )
    _check_onnx(folder / file, Tokenizer(folder / TOKENIZER, max_length), labels)
    name = folder.name if file == "model.onnx" else f"{folder.name}-{path.stem}"
    found = Artifact(name=name, title="ONNX model", kind="onnx", folder=str(folder), file=file)
    return found, labels, max_length


def _said(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _check_onnx(path: Path, tokenizer: Tokenizer, labels: tuple[str, ...]) -> None:
    """Refuse a model that does not turn tokens into one logit a label, by running it once."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base
        raise ModelError(f"{path} does not load ({error}), expected an ONNX model") from error
    names = [node.name for node in session.get_inputs()]
    if unknown := sorted(set(names) - INPUTS):
        raise ModelError(
            f"{path} reads {', '.join(unknown)}, expected no inputs but "
            f"{', '.join(sorted(INPUTS))}; export it with those"
        )
    inputs = tokenizer.encode(["a"])
    shape = np.shape(session.run(None, {name: inputs[name] for name in names})[0])
    if shape != (1, len(labels)):
        raise ModelError(
            f"{path} answers one text with {' x '.join(map(str, shape))} numbers, expected "
            f"1 x {len(labels)} for the labels {', '.join(labels)}; correct --labels or the model"
        )


def _refuse_told(path: Path, labels: tuple[str, ...] | None, max_length: int | None) -> None:
    if labels or max_length:
        raise UserError(
            f"{path} carries its labels and its longest input, expected neither --labels nor "
            "--max-length; leave them out"
        )


def _number(item: tuple[str, str]) -> int:
    return int(item[0])

"""The bundle: a folder that holds all that a device needs, and proves that it is whole.

manifest.json names every file with its SHA-256; a file more, a file less or a byte changed is
refused. tokenizer.json, golden.json and one folder per target stand beside it.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from pocketbert.compress.config import STRICT
from pocketbert.compress.errors import BundleError

from .cpu import Isa
from .tasks import TASKS

SCHEMA_VERSION = 2  # 1 had one target and its golden logits at the top of golden.json
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
GOLDEN = "golden.json"

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Runtime = Literal["onnxruntime", "openvino", "tensorrt"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One way to run the model.

    Attributes:
        name: Name within the bundle.
        runtime: Name in `deploy.runners.RUNNERS`.
        path: The model's file within the bundle.
        isa: Instruction set that the file is laid out for.
        precision: Number format of the encoder's matrix products with weights.
        float_precision: Format of what is not INT8.
        threads: Threads of one inference.
        disabled_optimizers: Graph optimisers of ONNX Runtime that were measured to be slower.
        lengths: Lengths in tokens that inputs are padded to; empty if any length is run as it is.
        bytes: Size of the model's file.
        int8_matmuls: Matrix products with weights that run in INT8, counted in the graph that
            the runtime really executes.
        float_weight_matmuls: Those that run in float.
    """

    __pydantic_config__ = STRICT
    name: str
    runtime: Runtime
    path: str
    isa: Isa
    precision: Precision
    float_precision: Precision = "float32"
    threads: int
    disabled_optimizers: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    bytes: int
    int8_matmuls: int
    float_weight_matmuls: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says about itself.

    Attributes:
        schema_version: Of this format.
        name: Of the recipe.
        created: UTC, ISO 8601.
        task: Task kind.
        labels: Label names in the order of the logits.
        max_length: Longest input in tokens.
        inputs: Model inputs, each int64 (batch, seq).
        outputs: Model outputs; `logits` is float32 (batch, labels).
        targets: The best first.
        length_histogram: Training texts that have 0, 1, 2 ... tokens.
        lineage: Fingerprint of every stage that led here.
        measured: Numbers measured when the bundle was built.
        sha256: Hash of every file but the manifest, by path within the bundle.
    """

    __pydantic_config__ = STRICT
    schema_version: int = SCHEMA_VERSION
    name: str
    created: str
    task: str
    labels: tuple[str, ...]
    max_length: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    targets: tuple[Target, ...]
    length_histogram: tuple[int, ...]
    lineage: dict[str, str]
    measured: dict[str, float]
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    root: Path
    manifest: Manifest


def read_bundle(root: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        BundleError: No bundle, one of a later format, or one that was changed.
    """
    manifest = _read_manifest(root)
    for name in manifest.sha256:
        _check_inside(name)
    _check_complete(root, manifest)
    for name, expected in manifest.sha256.items():
        if hash_file(root / name) != expected:
            raise BundleError(
                f"{root / name} does not have the hash that the manifest states, "
                "expected an unchanged bundle; copy it again"
            )
    return Bundle(root, manifest)


def write_bundle(out: Path, files: Mapping[str, Path], manifest: Manifest) -> Manifest:
    """Write a bundle; it appears under its name only when it is whole.

    Args:
        out: The bundle's folder; an earlier one is replaced.
        files: Where each file of the bundle is copied from, by path within the bundle.
        manifest: All but the hashes.

    Returns:
        The manifest with the hashes.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as scratch:
        building = Path(scratch) / out.name
        for name, source in files.items():
            _check_inside(name)
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, building / name)
        manifest = replace(
            manifest, sha256={name: hash_file(building / name) for name in sorted(files)}
        )
        (building / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
        if out.exists():
            shutil.rmtree(out)
        building.rename(out)
    return manifest


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_manifest(root: Path) -> Manifest:
    path = root / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{root} has no {MANIFEST}, expected the folder of a bundle")
    try:
        raw = json.loads(path.read_text())
    except ValueError as error:
        raise BundleError(
            f"{path} is not JSON ({error}), expected an unchanged bundle; copy it again"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{path} has schema version {version}, this pocketbert reads up to {SCHEMA_VERSION}; "
            "update pocketbert on this machine"
        )
    task = raw.get("task") if isinstance(raw, dict) else None
    if isinstance(task, str) and task not in TASKS:
        raise BundleError(
            f"{path} is of the task {task!r}, this pocketbert knows {', '.join(TASKS)}; update "
            "pocketbert on this machine"
        )
    try:
        return TypeAdapter(Manifest).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            f"{path} is wrong at `{place}` ({first['msg']}), expected a manifest of schema "
            f"version {SCHEMA_VERSION}; build the bundle again"
        ) from error


def _files_in(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder) / name
            if path.is_symlink():
                raise BundleError(
                    f"{path} is a symbolic link, expected only files inside the bundle; copy the "
                    "bundle again with links resolved"
                )
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in files)


def _check_inside(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or set(name) & set("\\:"):
        raise BundleError(
            f"the manifest names the file {name!r}, expected a relative path inside the bundle; "
            "do not use this bundle"
        )


def _check_complete(root: Path, manifest: Manifest) -> None:
    listed = set(manifest.sha256)
    found = set(_files_in(root)) - {MANIFEST}
    needed = {TOKENIZER, GOLDEN, *(target.path for target in manifest.targets)}
    for name in sorted(listed - found):
        raise BundleError(f"{root} lacks {name}, expected a whole bundle; copy it again")
    for name in sorted(found - listed):
        raise BundleError(
            f"{root} holds {name}, which the manifest does not list, expected only listed files; "
            "remove it or copy the bundle again"
        )
    for name in sorted(needed - listed):
        raise BundleError(
            f"{root} has no hash for {name}, expected one for every file; build the bundle again"
        )

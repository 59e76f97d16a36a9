"""The bundle: a folder that holds all that a device needs, and proves that it is whole.

manifest.json names every file with its SHA-256; a file more, a file less or a byte changed is
refused. tokenizer.json, golden.json and one folder per target stand beside it, and model.sig if the
bundle was signed afterwards. manifest.schema.json says what a manifest may hold.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pocketbert.compress.config import ADDED_LATER, HEAD, STRICT, Truncation
from pocketbert.compress.errors import BundleError
from pocketbert.compress.generation import GENERATION
from pocketbert.compress.target_tokenizer import TARGET_TOKENIZER

from .cpu import Isa
from .tasks import TASKS

# 1 had one target and its golden logits at the top of golden.json; 2 had no `truncation`. Both are
# read as they are: what they lack has a default.
SCHEMA_VERSION = 3
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
GOLDEN = "golden.json"
THRESHOLDS = "thresholds.json"  # beside an exported model; in a bundle the manifest has them
SIGNATURE = "model.sig"  # made after the manifest, so that it cannot stand in it

# A manifest is read before anything in it is believed: what it may ask for has bounds.
MAX_MANIFEST_BYTES = 4 << 20
MAX_LENGTH = 8192

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Runtime = Literal["onnxruntime", "openvino", "tensorrt"]
Verify = Literal["all", "lazy"]
Tokens = Annotated[int, Field(ge=1, le=MAX_LENGTH)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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
        bytes: Size of the model's file, or of both of its files.
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
    threads: Annotated[int, Field(ge=0, le=1024)]
    disabled_optimizers: tuple[str, ...] = ()
    lengths: Annotated[tuple[Tokens, ...], Field(max_length=64)] = ()
    bytes: Count
    int8_matmuls: Count
    float_weight_matmuls: Count


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says about itself.

    Attributes:
        schema_version: Of this format.
        name: Of the recipe.
        created: UTC, ISO 8601.
        task: Task kind.
        labels: What the logits are called; the numbers of vectors have no names.
        max_length: Longest input in tokens.
        truncation: What is read of a longer text.
        pairs: A text is two, which are read together.
        thresholds: Logits from which on each label is given, where that is how labels are given.
        inputs: Model inputs, each int64 (batch, seq).
        outputs: Model outputs; `logits` is float32 (batch, labels), or (batch, seq, labels) where
            every word is answered, or, of length 1, (batch, width) where a text gets a vector;
            where a text is written they are the encoder's.
        targets: The best first.
        length_histogram: Training texts that have 0, 1, 2 ... tokens.
        lineage: Fingerprint of every stage that led here.
        measured: Numbers measured when the bundle was built.
        sha256: Hash of every file but the manifest, by path within the bundle.
    """

    __pydantic_config__ = STRICT
    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    name: str
    created: str
    task: str
    labels: Annotated[tuple[str, ...], Field(max_length=1 << 16)]
    max_length: Tokens
    truncation: Truncation = HEAD
    pairs: bool = field(default=False, metadata=ADDED_LATER)
    thresholds: tuple[float, ...] = field(default=(), metadata=ADDED_LATER)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    targets: Annotated[tuple[Target, ...], Field(max_length=64)]
    length_histogram: Annotated[tuple[Count, ...], Field(max_length=MAX_LENGTH + 1)]
    lineage: dict[str, str]
    measured: dict[str, float]
    sha256: dict[str, Sha256] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, whole and with nothing in it that its manifest does not list."""

    root: Path
    manifest: Manifest

    def files_of(self, target: Target) -> list[str]:
        """Name what a target needs: tokenizers and all of the target's folder."""
        folder = PurePosixPath(target.path).parts[0]
        return [
            name
            for name in self.manifest.sha256
            if name in (TOKENIZER, TARGET_TOKENIZER, GENERATION)
            or PurePosixPath(name).parts[0] == folder
        ]

    def check_hashes(self, names: Iterable[str]) -> None:
        """Read files and compare their hashes with those of the manifest.

        Raises:
            BundleError: A file was changed.
        """
        for name in names:
            if hash_file(self.root / name) != self.manifest.sha256[name]:
                raise BundleError(
                    f"{self.root / name} does not have the hash that the manifest states, "
                    "expected an unchanged bundle; copy it again"
                )


def read_bundle(root: Path, verify: Verify = "all") -> Bundle:
    """Read a bundle and verify every byte of it.

    Args:
        root: The bundle's folder.
        verify: `lazy` leaves the hashes to `Bundle.check_hashes`; all else is verified here.

    Raises:
        BundleError: No bundle, one of a later format, or one that was changed.
    """
    manifest = _read_manifest(root)
    for name in manifest.sha256:
        _check_inside(name)
    _check_complete(root, manifest)
    bundle = Bundle(root, manifest)
    if verify == "all":
        bundle.check_hashes(manifest.sha256)
    return bundle


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
        (building / MANIFEST).write_text(json.dumps(_written(manifest), indent=2) + "\n")
        if out.exists():  # goes with the scratch folder, when the new one is in its place
            out.rename(Path(scratch) / "earlier")
        building.rename(out)
    return manifest


def _written(manifest: Manifest) -> dict[str, Any]:
    """Return what is written; what most bundles do not have is left out, so that any reads them."""
    left_out = [
        each.name
        for each in fields(manifest)
        if ADDED_LATER.items() <= each.metadata.items()
        and getattr(manifest, each.name) == each.default
    ]
    return {name: value for name, value in asdict(manifest).items() if name not in left_out}


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
    raw = _read_json(path)
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
        manifest = TypeAdapter(Manifest).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            f"{path} is wrong at `{place}` ({first['msg']}), expected a manifest of schema "
            f"version {SCHEMA_VERSION}; build the bundle again"
        ) from error
    if TASKS[manifest.task].named and not manifest.labels:
        raise BundleError(
            f"{path} is wrong at `labels` (there are none), expected some for the task "
            f"{manifest.task!r}; build the bundle again"
        )
    return manifest


def _read_json(path: Path) -> Any:
    size = path.stat().st_size
    if size > MAX_MANIFEST_BYTES:
        raise BundleError(
            f"{path} has {size} bytes, expected at most {MAX_MANIFEST_BYTES}; do not use this "
            "bundle"
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # the latter: brackets thousands deep
        raise BundleError(
            f"{path} is not JSON ({error}), expected an unchanged bundle; copy it again"
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
            if not (path.is_file() or path.is_dir()):  # reading a pipe never ends
                raise BundleError(
                    f"{path} is no file, expected only files inside the bundle; copy it again"
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
    found = set(_files_in(root)) - {MANIFEST, SIGNATURE}
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

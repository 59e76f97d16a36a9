"""A finished stage's `stage.json`: what was done, and every file's bytes as they were then."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from pocketbert.compress.errors import UserError

from .storage import sha256_of

RECORD = "stage.json"
LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what is recorded of a stage, None if it did not finish.

    Raises:
        UserError: The record was changed.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _changed(path, folder) from error
    if not record.keys() >= {"summary", "seconds", "files"}:
        raise _changed(path, folder)
    return record


def verify(folder: Path, record: dict[str, Any], *, every_byte: bool) -> None:
    """Compare a stage's files with its record.

    Args:
        folder: The stage's files.
        record: What `read_record` returned.
        every_byte: Hash all; else only files of another size or time than recorded.

    Raises:
        UserError: A file was changed or is gone.
    """
    files = [(folder / name, described) for name, described in record["files"].items()]
    doubtful = [f for f in files if every_byte or not _looks_unchanged(*f)]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        for (path, described), found in zip(
            doubtful, pool.map(lambda f: _hash_or_none(f[0]), doubtful), strict=True
        ):
            if found != described["sha256"]:
                raise _changed(path, folder)


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size, time and hash of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "mtime_ns": path.stat().st_mtime_ns,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def forget_scratch(folder: Path) -> None:
    """Delete what a killed try left under names that begin with a dot: nobody resumes from it."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def library_versions() -> dict[str, str]:
    """Return the versions of the installed ones of LIBRARIES."""
    installed = {distribution.name for distribution in metadata.distributions()}
    return {name: metadata.version(name) for name in LIBRARIES if name in installed}


def _looks_unchanged(path: Path, described: dict[str, Any]) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (described["bytes"], described["mtime_ns"])


def _hash_or_none(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _changed(path: Path, folder: Path) -> UserError:
    what = "was changed" if path.exists() else "is gone"
    return UserError(
        f"{path} {what} since its stage finished, expected the bytes that were written; delete "
        f"the folder {folder} and run the recipe again to make it anew"
    )

"""What goes wrong with disks, said in one sentence; files that appear whole or not at all."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketbert.compress.errors import UserError

WHAT_TO_DO = {
    errno.ENOSPC: "the disk is full, expected free space; free some or choose another --work",
    errno.EDQUOT: "the disk quota is used up, expected free space; free some or choose another "
    "--work",
    errno.EROFS: "the file system is read-only, expected a folder that can be written; choose "
    "another --work",
    errno.EACCES: "the permission is missing, expected a folder that can be written; choose "
    "another --work",
    errno.EPERM: "the permission is missing, expected a folder that can be written; choose "
    "another --work",
    errno.ENOTDIR: "a file stands where a folder belongs, expected a folder; choose another --work",
    errno.EEXIST: "a file stands where a folder belongs, expected a folder; choose another --work",
}
FULL_BELOW_BYTES = 64 * 1024


@contextmanager
def disk_problems_explained(folder: Path) -> Iterator[None]:
    """Turn errors of the disk under `folder` into a UserError; others pass.

    Libraries wrap the disk's error in their own, some without a trace of it, so the chain of
    causes, the text and at last the free space are looked at.

    Raises:
        UserError: The disk is full or cannot be written.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _disk_errno(error, folder)
        if number is None:
            raise
        path = _path_of(error) or folder
        raise UserError(f"{path}: {WHAT_TO_DO[number]}; then run the same command again") from error


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hash a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _disk_errno(error: BaseException, folder: Path) -> int | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in WHAT_TO_DO:
            is_space = seen.errno in (errno.ENOSPC, errno.EDQUOT)
            return seen.errno if is_space or _concerns(seen, folder) else None
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            if os.strerror(number) in str(seen):
                return number
        seen = seen.__cause__ or seen.__context__
    while not folder.exists():
        folder = folder.parent
    return errno.ENOSPC if shutil.disk_usage(folder).free < FULL_BELOW_BYTES else None


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether an error is about this folder, what is in it, or what it lies in."""
    path = _path_of(error)
    if path is None:
        return False
    path, folder = path.absolute(), folder.absolute()
    return path == folder or path in folder.parents or folder in path.parents


def _path_of(error: BaseException) -> Path | None:
    # Of a copy, the second name is what was written.
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return Path(name) if isinstance(name, str) else None

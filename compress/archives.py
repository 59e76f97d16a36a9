"""Taking one file or folder out of a zip, tar or ar archive that is not trusted.

Written members are plain files below the target, whatever the archive says: `tarfile`'s own filters
are missing from early 3.10 releases, and `zipfile` has no bound on sizes.
"""

import gzip
import io
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Protocol

from .errors import DataError

MAX_UNPACKED_BYTES = 4 * 2**30
AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60

# What the libraries raise for archives that are cut short, corrupt, encrypted or hold a name twice.
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,
    FileExistsError,
    NotADirectoryError,
)


def unpack(archive: Path, inside: str, out: Path) -> None:
    """Write one file, or the files of one folder, of an archive to `out`.

    Args:
        archive: A zip or tar file (plain, gzip, bzip2 or xz), or an ar file such as a package of
            Debian.
        inside: Path in the archive; `!` steps into an archive in the archive, a trailing `/` names
            a folder.
        out: The file or folder to write; must not exist yet.

    Raises:
        DataError: The archive is broken, unsafe or too large, or has no such member.
    """
    first, _, rest = inside.partition("!")
    if not rest:
        _extract(archive, first, out)
        return
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        inner = Path(folder) / PurePosixPath(first).name
        _extract(archive, first, inner)
        unpack(inner, rest, out)


def _extract(archive: Path, inside: str, out: Path) -> None:
    wanted = PurePosixPath(inside)
    found = False
    total_bytes = 0
    try:
        with _open(archive) as members:
            for member in members:
                total_bytes += member.size_bytes
                if member.size_bytes < 0 or total_bytes > MAX_UNPACKED_BYTES:
                    raise DataError(
                        f"{archive.name} unpacks to more than {MAX_UNPACKED_BYTES // 2**30} GiB, "
                        "expected less; it is not unpacked"
                    )
                path = PurePosixPath(member.name)
                chosen = wanted in path.parents if inside.endswith("/") else path == wanted
                if chosen and not member.is_folder:
                    _check_safe(archive, member)
                    _write(member, out / path.relative_to(wanted))
                    found = True
    except BROKEN as error:
        raise DataError(
            f"{archive.name} does not unpack ({error}), expected a whole zip or tar file in a "
            "common compression"
        ) from error
    if not found:
        raise DataError(
            f"{archive.name} has no member {inside!r}, expected one; correct `inside` "
            "(a folder ends in /)"
        )


class _Member(Protocol):
    """What zip and tar members have in common."""

    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def is_folder(self) -> bool: ...
    @property
    def is_plain_file(self) -> bool: ...
    def open(self) -> IO[bytes]: ...


def _check_safe(archive: Path, member: _Member) -> None:
    path = PurePosixPath(member.name)
    foreign = "\\" in member.name or PureWindowsPath(member.name).drive
    if path.is_absolute() or ".." in path.parts or foreign or "\0" in member.name:
        raise DataError(
            f"{archive.name} has a member {member.name!r} that points out of its folder, expected "
            "plain relative paths; the archive is not safe to unpack"
        )
    if not member.is_plain_file:
        raise DataError(
            f"{archive.name} has a member {member.name!r} that is a link or a device, expected "
            "plain files; the archive is not safe to unpack"
        )


def _write(member: _Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # "x": a second member of the same name is refused, not merged into the first.
    with member.open() as content, target.open("xb") as out:
        shutil.copyfileobj(content, out, 2**20)
        written = out.tell()
    if written != member.size_bytes:
        raise DataError(
            f"member {member.name!r} holds {written} bytes, expected the {member.size_bytes} that "
            "its archive declares; the archive is broken"
        )


@contextmanager
def _open(archive: Path) -> Iterator[Iterator[_Member]]:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            yield (_TarMember(tar, info) for info in tar)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield (_ZipMember(file, info) for info in file.infolist())
    else:
        with archive.open("rb") as content:
            if content.read(len(AR_MAGIC)) != AR_MAGIC:
                raise DataError(f"{archive.name} is no archive, expected a zip, tar or ar file")
            yield _ar_members(archive, content)


def _ar_members(archive: Path, content: IO[bytes]) -> "Iterator[_ArMember]":
    """Yield what an ar file holds (deb(5)): headers of 60 characters, contents at even places."""
    place = len(AR_MAGIC)
    while content.seek(place) and (header := content.read(AR_HEADER_BYTES)):
        size = header[48:58].strip()
        if len(header) < AR_HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
            raise DataError(f"{archive.name} has a broken header at byte {place}, expected ar's")
        start = place + AR_HEADER_BYTES
        name = header[:16].decode("latin-1").strip().removesuffix("/")
        yield _ArMember(archive, name, start, int(size))
        place = start + int(size) + int(size) % 2


@dataclass(frozen=True)
class _ZipMember:
    file: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return self.info.filename

    @property
    def size_bytes(self) -> int:
        return self.info.file_size

    @property
    def is_folder(self) -> bool:
        return self.info.is_dir()

    @property
    def is_plain_file(self) -> bool:
        # 0: written on a system without Unix file types
        return stat.S_IFMT(self.info.external_attr >> 16) in (0, stat.S_IFREG)

    def open(self) -> IO[bytes]:
        return self.file.open(self.info)


@dataclass(frozen=True)
class _TarMember:
    file: tarfile.TarFile
    info: tarfile.TarInfo

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def size_bytes(self) -> int:
        return self.info.size

    @property
    def is_folder(self) -> bool:
        return self.info.isdir()

    @property
    def is_plain_file(self) -> bool:
        return self.info.isreg()

    def open(self) -> IO[bytes]:
        content = self.file.extractfile(self.info)
        assert content is not None
        return content


@dataclass(frozen=True)
class _ArMember:
    archive: Path
    name: str
    start: int
    size_bytes: int
    is_folder: bool = False
    is_plain_file: bool = True

    def open(self) -> IO[bytes]:
        with self.archive.open("rb") as content:
            content.seek(self.start)
            return io.BytesIO(content.read(self.size_bytes))

"""Unpacking what is not trusted: the right files come out, and nothing lands elsewhere."""

import functools
import io
import stat
import tarfile
import zipfile

import pytest

from pocketbert.compress import archives
from pocketbert.compress.archives import unpack
from pocketbert.compress.errors import DataError


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def place(tmp_path):
    """A folder to unpack into, deep enough that an escape would show in tmp_path."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def refused(tmp_path, archive, inside, place):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError) as caught:
        unpack(archive, inside, place / "out")
    outside = [path for path in tmp_path.rglob("*") if place / "out" not in (path, *path.parents)]
    assert sorted(outside) == before
    written = (place / "out").rglob("*")
    assert not any(path.is_symlink() for path in written)
    return str(caught.value)


MAKERS = [zipped, tarred, functools.partial(tarred, mode="w")]


@pytest.mark.parametrize("make", MAKERS)
def test_one_file_and_one_folder(tmp_path, place, make):
    members = {"x/model/config.json": b"{}", "x/model/sub/a": b"aa", "x/modelling": b"no"}
    archive = make(tmp_path / "archive", members)
    unpack(archive, "x/model/config.json", place / "file")
    assert (place / "file").read_bytes() == b"{}"
    unpack(archive, "x/model/", place / "folder")
    files = {p.relative_to(place / "folder").as_posix() for p in (place / "folder").rglob("*")}
    assert files == {"config.json", "sub", "sub/a"}


def test_archives_within_archives(tmp_path, place):
    innermost = zipped(tmp_path / "innermost", {"c/d.txt": b"found"}).read_bytes()
    inner = tarred(tmp_path / "inner", {"./b/innermost.zip": innermost}).read_bytes()
    archive = zipped(tmp_path / "outer", {"a/inner.tar.gz": inner})
    unpack(archive, "a/inner.tar.gz!b/innermost.zip!c/d.txt", place / "out")
    assert (place / "out").read_bytes() == b"found"
    assert [path.name for path in place.iterdir()] == ["out"]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("inside", ["x/nothing", "x/nothing/", "x", "x/file/", ""])
def test_missing_member(tmp_path, place, make, inside):
    archive = make(tmp_path / "archive", {"x/file": b"1"})
    assert f"has no member {inside!r}" in refused(tmp_path, archive, inside, place)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "name", ["x/../../../evil", "x/..\\..\\evil", "x/sub/../../../../evil", "x/C:\\evil"]
)
def test_names_that_climb_out(tmp_path, place, make, name):
    archive = make(tmp_path / "archive", {name: b"evil"})
    assert "points out of its folder" in refused(tmp_path, archive, "x/", place)


def test_absolute_names(tmp_path, place):
    name = f"{tmp_path}/evil/file"
    for make in MAKERS:
        archive = make(tmp_path / "archive", {name: b"evil"})
        assert "points out of" in refused(tmp_path, archive, f"{tmp_path}/evil/", place)
        archive.unlink()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_tar(tmp_path, place, kind):
    (tmp_path / "target").mkdir()
    bad = link("x/link", str(tmp_path / "target"), kind)
    archive = tarred(tmp_path / "archive", {bad: b"", "x/link/evil": b"evil"})
    assert "is a link or a device" in refused(tmp_path, archive, "x/", place)


def test_links_in_zip(tmp_path, place):
    (tmp_path / "target").mkdir()
    bad = zipfile.ZipInfo("x/link")
    bad.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zipped(tmp_path / "archive", {bad: str(tmp_path / "target"), "x/link/evil": b"evil"})
    assert "is a link or a device" in refused(tmp_path, archive, "x/", place)


@pytest.mark.parametrize("make", MAKERS)
def test_more_declared_than_the_bound(tmp_path, place, make, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 2**20)
    members = {"x/small": b"1", "y/large": bytes(2**20)}
    archive = make(tmp_path / "archive", members)
    message = refused(tmp_path, archive, "y/large", place)
    assert "unpacks to more than" in message


def test_a_tar_bomb_is_refused_by_its_header_alone(tmp_path, place):
    info = tarfile.TarInfo("x/bomb")
    info.size = 2**40
    archive = tmp_path / "archive"
    archive.write_bytes(info.tobuf() + bytes(10_240))
    assert "more than 4 GiB" in refused(tmp_path, archive, "x/bomb", place)


@pytest.mark.parametrize("declared", [10, 2**21])
def test_a_zip_that_declares_another_size_than_it_holds(tmp_path, place, declared):
    archive = zipped(tmp_path / "archive", {"x/bomb": bytes(2**20)})
    content = archive.read_bytes()
    lie = declared.to_bytes(4, "little")
    archive.write_bytes(content.replace((2**20).to_bytes(4, "little"), lie))
    refused(tmp_path, archive, "x/bomb", place)
    assert (place / "out").stat().st_size <= declared


@pytest.mark.parametrize("make", MAKERS)
def test_cut_short(tmp_path, place, make):
    import random

    archive = make(tmp_path / "archive", {"x/file": random.Random(0).randbytes(200_000)})
    archive.write_bytes(archive.read_bytes()[:100_000])
    refused(tmp_path, archive, "x/file", place)


def test_what_is_no_archive(tmp_path, place):
    (tmp_path / "archive").write_text("plain text")
    assert "is no archive" in refused(tmp_path, tmp_path / "archive", "x", place)


def test_a_name_twice(tmp_path, place):
    bad = tarfile.TarInfo("x/file")
    archive = tarred(tmp_path / "archive", {"x/file": b"1", bad: b"2"})
    assert "does not unpack" in refused(tmp_path, archive, "x/", place)

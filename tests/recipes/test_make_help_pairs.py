"""Pairs out of two packages as Debian has them, made here of a few pages."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pocketbert.compress.archives import unpack
from pocketbert.compress.errors import DataError
from pocketbert.compress.split import choose_split, normalise
from pocketbert.recipes.make_help_pairs import HELD_OUT, make_pairs, paragraphs

FOLDER = "./usr/share/libreoffice/help/{language}/text/"
CHINESE = {
    "Opens the {n} dialog.": "打开{n}的对话框页面。",
    "Closes the window now.": "现在关闭窗口。",
}


def package(path: Path, language: str, pages: dict[str, str]) -> Path:
    """Write an ar file with data.tar.xz, as dpkg-deb does; an odd size is padded."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for name, page in pages.items():
            info = tarfile.TarInfo(FOLDER.format(language=language) + name)
            content = page.encode()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "odd": b"x", "data.tar.xz": packed.getvalue()}
    with path.open("wb") as out:
        out.write(b"!<arch>\n")
        for name, content in members.items():
            header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
            out.write(header.encode() + content + b"\n" * (len(content) % 2))
    return path


def page(number: int, language: int) -> str:
    sentences = [pair[language].format(n=number % 170) for pair in CHINESE.items()]
    own = f"<p>no identifier {number}</p><script>var p = 1;</script>"
    found = "".join(
        f'<p id="par_{row}" dir="auto">{text.replace("the", "<b>the</b>")}</p>'
        for row, text in enumerate(sentences)
    )
    return f'<html><h1 id="hd">LibreOffice</h1>{own}{found}</html>'


@pytest.fixture
def packages(tmp_path):
    """200 pages; the second sentence stands on all of them, the first on some in two."""
    return [
        package(tmp_path / f"{name}.deb", name, {f"{n}.html": page(n, side) for n in range(200)})
        for side, name in enumerate(("en-US", "zh-CN"))
    ]


def test_paragraphs_are_aligned_and_no_sentence_is_in_two_splits(packages):
    splits = make_pairs(*packages)
    assert {row["page"] for row in splits["test"]}.isdisjoint(
        row["page"] for row in splits["train"]
    )
    for split, rows in splits.items():
        assert rows
        assert all(choose_split(row["page"], **HELD_OUT) == split for row in rows)
        for row in rows:
            assert CHINESE.get(row["text"], "打开") in row["label"]
            assert "<" not in row["text"]
    train = {normalise(row[side]) for row in splits["train"] for side in ("text", "label")}
    assert "closes the window now." in train
    for split in ("validation", "test"):
        held_out = {normalise(row[side]) for row in splits[split] for side in ("text", "label")}
        assert held_out.isdisjoint(train)
    texts = [row["text"] for rows in splits.values() for row in rows]
    assert len(texts) == len(set(texts)) == 171


def test_a_paragraph_has_an_identifier_and_its_words():
    read = paragraphs('<p id="a">One <b>two</b>\n three &amp; four</p><p>out</p><h2 id="b"> </h2>')
    assert read == {"a": "One two three & four"}


def test_it_writes_three_files(packages, tmp_path):
    command = [sys.executable, "-m", "pocketbert.recipes.make_help_pairs", *map(str, packages)]
    subprocess.run([*command, "out"], cwd=tmp_path, check=True)
    rows = [json.loads(line) for line in (tmp_path / "out/test.jsonl").read_text().splitlines()]
    assert rows == make_pairs(*packages)["test"]


def test_packages_of_nothing_in_common_are_refused(packages, tmp_path):
    other = package(tmp_path / "other.deb", "zh-CN", {"other.html": page(0, 1)})
    with pytest.raises(DataError, match="have too few paragraphs in common"):
        make_pairs(packages[0], other)


def test_a_broken_package_is_refused(packages, tmp_path):
    broken = tmp_path / "broken.deb"
    broken.write_bytes(b"!<arch>\n" + b"x" * 70)
    with pytest.raises(DataError, match=r"broken\.deb has a broken header at byte 8"):
        make_pairs(packages[0], broken)
    whole = packages[0].read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError):
        unpack(broken, "data.tar.xz", tmp_path / "data")

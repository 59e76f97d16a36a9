import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pocketbert.compress.errors import UserError
from pocketbert.recipes.storage import disk_problems_explained, write_whole

from .test_cache import run


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    with mounted(tmp_path / "disk", "size=256k") as disk:
        assert run(disk / "w", KILL_AT="5", WORK_LOG=str(tmp_path / "log"))[0] < 0
        filling = disk / "filling"
        with pytest.raises(OSError, match="No space"), filling.open("wb") as file:
            file.write(bytes(1 << 20))
        code, _, err = run(disk / "w", WORK_LOG=str(tmp_path / "log"))
        assert code == 1
        assert "the disk is full, expected free space; free some or choose another --work" in err
        assert "Traceback" not in err
        filling.unlink()
        code, out, _ = run(disk / "w", WORK_LOG=str(tmp_path / "log"))
        assert code == 0
    run(tmp_path / "undisturbed")
    assert out == run(tmp_path / "undisturbed")[1].replace("True", "False")


def test_a_read_only_folder_is_said_but_serves_what_is_finished(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        log = str(tmp_path / "log")
        run(disk / "w", WORK_LOG=log)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "double True" in run(disk / "w", WORK_LOG=log)[1]
        code, _, err = run(disk / "other", WORK_LOG=log)
        assert code == 1
        assert "the file system is read-only, expected a folder that can be written" in err
        assert "Traceback" not in err


def test_a_file_where_the_folder_belongs_is_said(tmp_path):
    (tmp_path / "w").write_text("mine")
    code, _, err = run(tmp_path / "w")
    assert code == 1
    assert "a file stands where a folder belongs" in err
    assert (tmp_path / "w").read_text() == "mine"


def test_errors_that_libraries_wrap_are_seen(tmp_path):
    with (
        pytest.raises(UserError, match="the disk is full"),
        disk_problems_explained(tmp_path),
    ):
        raise RuntimeError("Error while serializing: No space left on device (os error 28)")
    wrapped = ValueError("could not write")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "x"))
    with pytest.raises(UserError, match="quota"), disk_problems_explained(tmp_path):
        raise wrapped


def test_other_errors_pass(tmp_path):
    with pytest.raises(ValueError, match="a bug"), disk_problems_explained(tmp_path):
        raise ValueError("a bug")
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/data.csv")
    with pytest.raises(PermissionError), disk_problems_explained(tmp_path):
        raise elsewhere


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

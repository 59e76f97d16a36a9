import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pocketbert.compress.config import ADDED_LATER
from pocketbert.eval.config import EvaluateConfig
from pocketbert.recipes.cache import Stage, StageCache
from pocketbert.recipes.record import RECORD

STAGE = Path(__file__).parent / "counting_stage.py"


def start(work: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(STAGE), str(work)],
        env={**os.environ, "WORK_LOG": str(work.parent / "log"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(work: Path, **environment: str) -> tuple[int, str, str]:
    process = start(work, **environment)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def outputs(work: Path) -> dict[str, bytes]:
    return {
        path.relative_to(work).as_posix(): path.read_bytes()
        for path in work.rglob("*")
        if path.is_file() and path.name != RECORD and path.suffix != ".lock"
    }


def the_folder(work: Path, stage: str) -> Path:
    (folder,) = (path for path in work.glob(f"{stage}-*") if path.is_dir())
    return folder


def test_killed_and_started_again_ends_like_an_undisturbed_run(tmp_path):
    undisturbed, killed = tmp_path / "a", tmp_path / "b"
    assert run(undisturbed)[0] == 0
    assert run(killed, KILL_AT="5")[0] == -signal.SIGKILL
    assert not (the_folder(killed, "count") / RECORD).exists()
    assert run(killed, KILL_AT="12")[0] == -signal.SIGKILL
    code, out, _ = run(killed)
    assert code == 0
    assert "count False" in out
    assert json.loads((the_folder(killed, "count") / RECORD).read_text())["resumed"] is True
    assert outputs(killed) == outputs(undisturbed)


def test_scratch_of_a_killed_try_is_deleted(tmp_path):
    assert run(tmp_path / "w", KILL_AT="5")[0] == -signal.SIGKILL
    scratch = the_folder(tmp_path / "w", "count") / ".scratch"
    scratch.mkdir()
    assert run(tmp_path / "w")[0] == 0
    assert not scratch.exists()


def test_finished_work_is_not_done_again(tmp_path):
    _, first, _ = run(tmp_path / "w")
    _, second, _ = run(tmp_path / "w")
    assert first.replace("False", "True") == second
    assert (tmp_path / "log").read_text().count("count") == 1


def test_two_at_once_do_the_work_once_and_both_get_it(tmp_path):
    processes = [start(tmp_path / "w", STEP_S="0.1") for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(out.split()[1] for out, _ in ended) == ["False", "True"]
    assert any("another run is at it" in err for _, err in ended)
    assert (tmp_path / "log").read_text().count("count") == 1


@pytest.mark.parametrize("keep_time", [False, True], ids=["new time", "old time"])
def test_changed_bytes_are_refused_and_left_alone(tmp_path, keep_time):
    work = tmp_path / "w"
    run(work)
    file = the_folder(work, "count") / "numbers.json"
    if keep_time:  # then it is found when the next stage needs the bytes
        (the_folder(work, "double") / RECORD).unlink()
    status = file.stat()
    file.write_bytes(file.read_bytes().replace(b"7", b"8", 1))
    if keep_time:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    before = outputs(work)
    code, _, err = run(work)
    assert code == 1
    assert err.strip() == (
        f"{file} was changed since its stage finished, expected the bytes that were written; "
        f"delete the folder {file.parent} and run the recipe again to make it anew"
    )
    assert outputs(work) == before


def test_a_lost_file_is_refused(tmp_path):
    run(tmp_path / "w")
    (the_folder(tmp_path / "w", "count") / "numbers.json").unlink()
    code, _, err = run(tmp_path / "w")
    assert code == 1
    assert "numbers.json is gone since its stage finished" in err


def test_a_broken_record_is_refused(tmp_path):
    run(tmp_path / "w")
    (the_folder(tmp_path / "w", "count") / RECORD).write_text("{")
    code, _, err = run(tmp_path / "w")
    assert code == 1
    assert "stage.json was changed since its stage finished" in err


def test_a_copied_cache_still_counts(tmp_path):
    run(tmp_path / "a")
    subprocess.run(["cp", "-r", tmp_path / "a", tmp_path / "b"], check=True)
    _, out, _ = run(tmp_path / "b")
    assert "count True" in out
    assert "double True" in out


@pytest.fixture
def cache(tmp_path):
    return StageCache(tmp_path / "stages")


def test_the_fingerprint_follows_what_decides_the_result(cache, tmp_path):
    stage = Stage("somewhere:work")
    steps = [
        cache.step("a", stage, {"config": EvaluateConfig()}),
        cache.step("b", stage, {"config": EvaluateConfig()}),
        cache.step("a", Stage("somewhere:work", version=2), {"config": EvaluateConfig()}),
        cache.step("a", stage, {"config": EvaluateConfig(resamples=10)}),
        cache.step("a", stage, {"config": EvaluateConfig()}, sources=["f00"]),
        cache.step("a", stage, {"config": EvaluateConfig(), "data": cache.folder / "data-1"}),
        cache.step("a", stage, {"config": EvaluateConfig(), "data": cache.folder / "data-2"}),
    ]
    assert len({step.fingerprint for step in steps}) == len(steps)
    again = cache.step("a", stage, {"config": EvaluateConfig()})
    assert again.fingerprint == steps[0].fingerprint


def test_the_fingerprint_does_not_follow_where_the_cache_is(tmp_path):
    here, there = StageCache(tmp_path / "here"), StageCache(tmp_path / "there")
    stage = Stage("somewhere:work")
    assert (
        here.step("a", stage, {"data": here.folder / "data-1", "name": str(here.folder / "x")})
    ).fingerprint == (
        there.step("a", stage, {"data": there.folder / "data-1", "name": str(there.folder / "x")})
    ).fingerprint


def test_what_json_cannot_say_is_no_param(cache):
    with pytest.raises(TypeError, match="is a set, expected what JSON can say"):
        cache.step("a", Stage("somewhere:work"), {"labels": {"a"}})


def test_a_crash_leaves_no_finished_stage(cache):
    step = cache.step("a", Stage("json:loads"), {})
    with pytest.raises(TypeError):
        cache.run(step)
    assert cache.finished(step) is None


@dataclass(frozen=True)
class Before:
    layers: int = 2


@dataclass(frozen=True)
class Later(Before):
    width: int | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True)
class Unmarked(Before):
    width: int | None = None


def test_a_key_that_came_later_counts_only_where_it_is_used(tmp_path):
    def fingerprint(config):
        return StageCache(tmp_path).step("s", Stage("m:f"), {"config": [config]}).fingerprint

    assert fingerprint(Later()) == fingerprint(Before())
    assert fingerprint(Unmarked()) != fingerprint(Before())
    used = {fingerprint(Later(width=width)) for width in (3, 4)}
    assert len(used | {fingerprint(Before())}) == 3

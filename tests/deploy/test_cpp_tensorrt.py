"""The C++ runtime finds the engines that `pocketbert build` keeps, and refuses what Python refuses.

Places are made up. Where TensorRT is found, with headers, a runtime with it is asked the same.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.build import build
from pocketbert.deploy.bundle import hash_file, read_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.jetpack import read_jetpack
from pocketbert.deploy.runners.tensorrt import profile_of
from pocketbert.deploy.tensorrt_engines import (
    PLAN,
    RECORD,
    Place,
    Record,
    cache_folder,
    key_of,
    store,
    why_no_plan,
)
from pocketbert.deploy.tensorrt_gpu import why_no_gpu

from . import cpp_build

RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
ORIN = Place(device="Orin", capability="8.7", tensorrt="10.3.0", jetpack="L4T 36.4.3 (JetPack 6.2)")
LIBRARY = "10.3.0.30"  # what the library of ORIN's TensorRT says of itself
TEXTS = ["the film is superb", "dull", "", "a tender, gripping story " * 3]


@pytest.fixture(scope="session")
def cpp_tensorrt(pytestconfig, cpp_onnxruntime):
    """The programs with TensorRT's runner; TensorRT_ROOT may name TensorRT's folder."""
    folder = Path(pytestconfig.cache.mkdir("cpp")) / "tensorrt"
    try:
        return cpp_build.build(
            folder,
            OnnxRuntime_ROOT=str(cpp_onnxruntime),
            POCKETBERT_TESTS=True,
            POCKETBERT_TENSORRT=True,
        )
    except cpp_build.BuildError as error:
        if "TensorRT is '" not in str(error):
            raise
        pytest.skip("TensorRT's headers, its library or CUDA's toolkit are not found here")


@pytest.fixture(params=["cpp", "cpp_tensorrt"])
def programs(request):
    """Built without TensorRT, and with it."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture
def release(tmp_path):
    (tmp_path / "release").write_text(RELEASE)
    return tmp_path / "release"


@pytest.fixture
def record(tensorrt_bundle):
    target = next(t for t in read_bundle(tensorrt_bundle).manifest.targets if t.name == "tensorrt")
    return Record(
        key=key_of(tensorrt_bundle, target, ORIN),
        bundle="tiny",
        target="tensorrt",
        precision="int8",
        workspace_mib=256,
        seconds=1.5,
        built_at="2026-11-30T00:00:00+00:00",
    )


def run(program, *arguments, text=""):
    return subprocess.run(
        [program, *map(str, arguments)], input=text, capture_output=True, text=True
    )


def found_by(programs, bundle, release, place=ORIN, library=LIBRARY, text=""):
    """What C++ says on a machine: the file of the plan, or why there is none; then profiles."""
    command = [bundle, "tensorrt", place.device, place.capability, library, release]
    return run(programs / "tests/find_plan", *command, text=text)


def moved(record, **place):
    return replace(record, key=replace(record.key, place=replace(record.key.place, **place)))


def flip(folder):
    content = bytearray((folder / PLAN).read_bytes())
    content[3] ^= 1
    (folder / PLAN).write_bytes(content)


def rewrite_record(folder):
    raw = json.loads((folder / RECORD).read_text())
    raw["key"]["model_sha256"] = "0" * 64
    (folder / RECORD).write_text(json.dumps(raw))


def nothing(folder):
    pass


# What lies in the cache: (the plan or None, changes of the record, what was done to it then).
KEPT = {
    "a plan": (b"a plan", {}, nothing),
    "a changed plan": (b"a plan", {}, flip),
    "a lost plan": (b"a plan", {}, lambda folder: (folder / PLAN).unlink()),
    "a plan of another model": (b"a plan", {}, rewrite_record),
    "a failure": (None, {"failure": "no kernel", "fallback": "tensorrt-float"}, nothing),
    "a failure without fallback": (None, {"failure": "no kernel"}, nothing),
}


@pytest.mark.parametrize("kept", KEPT)
def test_cpp_says_of_a_plan_what_python_says(
    programs, tensorrt_bundle, cache, release, record, kept
):
    plan, changes, then = KEPT[kept]
    store(cache, replace(record, **changes), plan)
    folder = record.key.folder(cache)
    then(folder)
    found = found_by(programs, tensorrt_bundle, release)
    expected = why_no_plan(cache, record.key)
    assert (expected is None) == (kept == "a plan")
    assert found.stdout == f"{expected or folder / PLAN}\n"


@pytest.mark.parametrize(
    "other",
    [
        {"device": "Thor"},
        {"capability": "11.0"},
        {"tensorrt": "10.3.1"},
        {"tensorrt": "10.3.0.26"},
        {"tensorrt": "10.30.0"},
        {"jetpack": "L4T 36.4.30 (JetPack 6.2)"},
        {"jetpack": None},
    ],
)
def test_a_plan_from_elsewhere_is_refused_with_what_differs(
    programs, tensorrt_bundle, cache, release, record, other
):
    store(cache, moved(record, **other), b"a plan")
    found = found_by(programs, tensorrt_bundle, release)
    # C++ knows four numbers of the version and no names of JetPacks; else the sentence is Python's.
    here = replace(ORIN, tensorrt=LIBRARY, jetpack="L4T 36.4.3")
    expected = why_no_plan(cache, record.key).replace(str(ORIN), str(here))
    assert "an engine runs only where it was built" in expected
    assert found.stdout == f"{expected}\n"
    store(cache, record, b"a plan")
    assert found_by(programs, tensorrt_bundle, release).stdout.endswith(f"{PLAN}\n")


def test_a_package_that_was_made_again_has_the_same_engines(
    programs, tensorrt_bundle, cache, release, record
):
    store(cache, moved(record, tensorrt="10.3.0.post1"), b"a plan")
    assert found_by(programs, tensorrt_bundle, release).stdout.endswith(f"{PLAN}\n")


def test_a_machine_that_is_no_jetson_has_no_system(
    programs, tensorrt_bundle, cache, tmp_path, record
):
    record = moved(record, jetpack=None, tensorrt="10.13.3.9")
    store(cache, record, b"a plan")
    found = found_by(programs, tensorrt_bundle, tmp_path / "none", library="10.13.3.9")
    assert found.stdout == f"{record.key.folder(cache) / PLAN}\n"


@pytest.mark.parametrize(
    "text", [RELEASE, RELEASE.replace("R36", "R38"), "# Ubuntu, noble\n", "strange\n"]
)
def test_l4t_is_read_as_in_python(programs, tensorrt_bundle, cache, release, record, text):
    release.write_text(text)
    store(cache, moved(record, jetpack=read_jetpack(release)), b"a plan")
    assert found_by(programs, tensorrt_bundle, release).stdout.endswith(f"{PLAN}\n")
    release.write_text(RELEASE.replace("4.3", "9.9"))
    assert "L4T 36.9.9, and" in found_by(programs, tensorrt_bundle, release).stdout


def test_no_plan_is_a_reason_too(programs, tensorrt_bundle, cache, release, record):
    found = found_by(programs, tensorrt_bundle, release)
    assert found.stdout == f"{why_no_plan(cache, record.key)}\n"
    store(cache, replace(moved(record, device="Thor"), failure="no kernel"), None)
    assert found_by(programs, tensorrt_bundle, release).stdout == found.stdout


def test_a_damaged_record_is_refused(programs, tensorrt_bundle, cache, release, record):
    store(cache, record, b"a plan")
    path = record.key.folder(cache) / RECORD
    for content in (b"{", json.dumps(json.loads(path.read_text()) | {"bundle": 5}).encode()):
        path.write_bytes(content)
        with pytest.raises(BundleError, match="is no record of an engine"):
            why_no_plan(cache, record.key)
        found = found_by(programs, tensorrt_bundle, release)
        assert (found.returncode, found.stdout) == (2, "")
        assert str(path) in found.stderr
        assert "expected an unchanged file; run `pocketbert build` with --rebuild" in found.stderr


def test_a_bundle_without_shapes_is_refused(programs, tensorrt_bundle, cache, release, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tensorrt_bundle, bundle)
    (bundle / "tensorrt/kit.json").write_text('{"profiles": [{"min": [1, 1], "opt": [1, 9]}]}')
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sha256"]["tensorrt/kit.json"] = hash_file(bundle / "tensorrt/kit.json")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    found = found_by(programs, bundle, release)
    assert found.returncode == 2
    assert "wrong at `profiles.0` (lacks the key 'max')" in found.stderr
    assert "expected the kit of a TensorRT target; copy the bundle again" in found.stderr


def test_the_narrowest_profile_that_fits_is_taken(
    programs, tensorrt_bundle, cache, release, record
):
    profiles = record.key.profiles
    assert len(profiles) == 2
    shapes = [(rows, length) for rows in (1, 2, 8) for length in (1, profiles[0].max[1], 32)]
    shapes.append((1, profiles[0].max[1] + 1))
    text = "".join(f"{rows} {length}\n" for rows, length in shapes)
    found = found_by(programs, tensorrt_bundle, release, text=text).stdout.splitlines()[1:]
    assert [int(number) for number in found] == [profile_of(shape, profiles) for shape in shapes]
    assert {"0", "1"} == set(found)
    for shape in ((9, 5), (1, 33)):
        with pytest.raises(BundleError) as refusal:
            profile_of(shape, profiles)
        found = found_by(programs, tensorrt_bundle, release, text="{} {}".format(*shape))
        assert (found.returncode, found.stderr) == (2, f"{refusal.value}\n")


@pytest.fixture
def tensorrt_first(tensorrt_bundle, tmp_path):
    """The bundle, whose best target is TensorRT's."""
    shutil.copytree(tensorrt_bundle, tmp_path / "first")
    path = tmp_path / "first/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["targets"].sort(key=lambda target: target["runtime"], reverse=True)
    path.write_text(json.dumps(manifest))
    return tmp_path / "first"


def check_falls_back_in_the_open(program, bundle, reason):
    """What is asked for is refused in a sentence; what is not is passed over, and that is said."""
    asked = run(program, bundle, "--target", "tensorrt", text="dull\n")
    assert (asked.returncode, asked.stdout, asked.stderr.count("\n")) == (2, "", 1)
    assert f"tensorrt cannot run here: {reason}" in asked.stderr
    done = run(program, bundle, text="dull\n")
    assert done.returncode == 0
    score = Engine.open(bundle, "onnxruntime")(["dull"])[0].score
    assert json.loads(done.stdout)["score"] == pytest.approx(score, abs=1e-5)
    assert done.stderr.startswith("pocketbert-run: onnxruntime: ")
    for target in ("tensorrt", "tensorrt-float"):
        assert f"; {target} cannot run here: {reason}" in done.stderr


def test_a_library_without_tensorrt_says_so(cpp, tensorrt_first):
    reason = "this library was built without TensorRT (build it with -DPOCKETBERT_TENSORRT=ON)"
    check_falls_back_in_the_open(cpp / "pocketbert-run", tensorrt_first, reason)


def test_nothing_is_said_where_the_best_target_runs(cpp, tensorrt_bundle):
    assert run(cpp / "pocketbert-run", tensorrt_bundle, text="dull\n").stderr == ""


@pytest.mark.skipif(why_no_gpu() is None, reason="this machine has a GPU")
def test_a_library_with_tensorrt_says_that_there_is_no_gpu(cpp_tensorrt, tensorrt_first):
    reason = "this machine has no GPU that CUDA can use ("
    check_falls_back_in_the_open(cpp_tensorrt / "pocketbert-run", tensorrt_first, reason)


@pytest.mark.gpu
def test_on_a_gpu_logits_are_those_of_python_and_of_onnxruntime(
    cpp_tensorrt, bert, tensorrt_bundle, cache
):
    program = cpp_tensorrt / "tests/print_logits"
    refused = run(program, tensorrt_bundle, "tensorrt-float")
    assert "no engine of it is built on this machine yet" in refused.stderr
    build(tensorrt_bundle, "tensorrt-float")
    records = "".join(f"{len(text.encode())}\n{text}" for text in TEXTS)
    done = run(program, tensorrt_bundle, "tensorrt-float", text=records)
    found = np.array([json.loads(line) for line in done.stdout.splitlines()], dtype=np.float32)
    expected = Engine.from_onnx(bert.exported, ("bad", "good"), 32).logits(TEXTS)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    python = Engine.open(tensorrt_bundle, "tensorrt-float").logits(TEXTS)
    np.testing.assert_allclose(found, python, atol=1e-3 * np.abs(expected).max())


@pytest.mark.gpu
def test_on_a_gpu_int8_gives_the_golden_answers_to_threads_and_large_batches(
    cpp_tensorrt, tensorrt_bundle, cache
):
    build(tensorrt_bundle, "tensorrt")
    program = cpp_tensorrt / "pocketbert-run"
    assert run(program, "--selftest", tensorrt_bundle, "--target", "tensorrt").returncode == 0
    lines = "".join(f"{text}\n" for text in TEXTS * 5)
    one_by_one = run(program, tensorrt_bundle, "--target", "tensorrt", text=lines)
    batched = run(program, tensorrt_bundle, "--target", "tensorrt", "--batch-size", 20, text=lines)
    assert batched.returncode == 0
    for one, other in zip(one_by_one.stdout.splitlines(), batched.stdout.splitlines(), strict=True):
        assert json.loads(one)["score"] == pytest.approx(json.loads(other)["score"], abs=0.1)

"""Building on the device: the cache of engines, what refuses one, what is fallen back to.

Engines come from TensorRT-RTX, which builds without a GPU; the place that they are for is made up.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.build import build, fallbacks
from pocketbert.deploy.bundle import MANIFEST, read_bundle, write_bundle
from pocketbert.deploy.engine import Engine, why_not_here
from pocketbert.deploy.graph import initializers
from pocketbert.deploy.jetpack import read_jetpack
from pocketbert.deploy.runners import RUNNERS, Row, why_not
from pocketbert.deploy.tensorrt_build import import_tensorrt, start_timings, workspace_mib
from pocketbert.deploy.tensorrt_engines import (
    PLAN,
    RECORD,
    Key,
    Place,
    cache_folder,
    key_of,
    read_record,
    records,
    store,
    timing_cache,
    why_no_plan,
)
from pocketbert.deploy.tensorrt_here import build_for
from pocketbert.deploy.tensorrt_profiles import profiles_for
from pocketbert.recipes.doctor import diagnose

ORIN = Place(device="Orin", capability="8.7", tensorrt="10.3.0", jetpack="L4T 36.4.3 (JetPack 6.2)")
THOR = Place(
    device="Thor", capability="11.0", tensorrt="10.13.3", jetpack="L4T 38.2.0 (JetPack 7.0)"
)
EXPERT = {"workspace": 256, "compute_capability": "SM86"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture(scope="module")
def rtx():
    pytest.importorskip("tensorrt_rtx")
    return import_tensorrt("tensorrt_rtx")


def targets_of(bundle):
    return {target.name: target for target in bundle.manifest.targets}


@pytest.fixture(scope="module")
def built_once(tensorrt_bundle, tmp_path_factory, rtx):
    """A cache that holds the bundle's INT8 engine, and its record."""
    bundle, cache = read_bundle(tensorrt_bundle), tmp_path_factory.mktemp("engines")
    target = targets_of(bundle)["tensorrt"]
    key = key_of(tensorrt_bundle, target, ORIN)
    return cache, build_for(bundle, target, key, trt=rtx, cache=cache, **EXPERT)


@pytest.fixture
def record(built_once, cache):
    shutil.copytree(built_once[0], cache)
    return built_once[1]


def test_an_engine_is_kept_with_all_that_it_depends_on(tensorrt_bundle, cache, record):
    assert why_no_plan(cache, record.key) is None
    folder = record.key.folder(cache)
    assert sorted(path.name for path in folder.iterdir()) == [PLAN, RECORD]
    assert read_record(folder) == record
    assert (record.precision, record.workspace_mib) == ("int8", 256)
    manifest = read_bundle(tensorrt_bundle).manifest
    assert record.key.model_sha256 == manifest.sha256["tensorrt/model.onnx"]
    assert diagnose().engines == (f"tiny, tensorrt (int8): built on {ORIN}",)


def test_an_engine_depends_on_model_shapes_and_place(cache):
    first = Key(model_sha256="ab", profiles=profiles_for([0, 1], 8), place=ORIN)
    others = [
        replace(first, model_sha256="cd"),
        replace(first, profiles=profiles_for([0, 1], 9)),
        *(
            replace(first, place=replace(ORIN, **{part: getattr(THOR, part)}))
            for part in ("device", "capability", "tensorrt", "jetpack")
        ),
    ]
    assert len({key.folder(cache) for key in [first, *others]}) == 7


def test_an_engine_from_elsewhere_is_refused_with_what_differs(cache, record):
    reason = why_no_plan(cache, replace(record.key, place=THOR))
    assert f"built on {ORIN}, this machine is {THOR}" in reason
    assert "run `pocketbert build BUNDLE`" in reason
    store(cache, replace(record, key=replace(record.key, place=THOR)), b"a plan")
    assert why_no_plan(cache, replace(record.key, place=THOR)) is None
    assert why_no_plan(cache, record.key) is None


@pytest.mark.parametrize("damage", ["plan", "no plan", "record"])
def test_a_damaged_engine_is_refused(cache, record, damage):
    folder = record.key.folder(cache)
    if damage == "record":
        other = json.loads((folder / RECORD).read_text()) | {"bundle": 5}
        (folder / RECORD).write_text(json.dumps(other))
        with pytest.raises(BundleError, match="is no record of an engine"):
            why_no_plan(cache, record.key)
        return
    if damage == "plan":
        content = bytearray((folder / PLAN).read_bytes())
        content[1000] ^= 1
        (folder / PLAN).write_bytes(content)
    else:
        (folder / PLAN).unlink()
    assert "is not what was built" in why_no_plan(cache, record.key)


def test_no_engine_is_a_reason_too(tensorrt_bundle, cache):
    target = targets_of(read_bundle(tensorrt_bundle))["tensorrt"]
    key = key_of(tensorrt_bundle, target, ORIN)
    assert "no engine of it is built on this machine yet" in why_no_plan(cache, key)


def with_models(root: Path, out: Path, **models) -> Path:
    """The bundle with other models for its targets."""
    bundle = read_bundle(root)
    files = {name: root / name for name in bundle.manifest.sha256}
    for target, model in models.items():
        onnx.save(model, out / f"{target}.onnx")
        files[f"{target.replace('_', '-')}/model.onnx"] = out / f"{target}.onnx"
    write_bundle(out / "bundle", files, bundle.manifest)
    return out / "bundle"


def with_zero_point(model):
    """What NVIDIA's parser refuses in INT8."""
    stored = initializers(model)
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    zero = stored[first.input[2]]
    zero.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(zero) + 3, zero.name))
    return model


def with_unknown_operator(model):
    model.graph.node[-1].op_type = "NoSuchOperator"
    return model


def build_with_rtx(bundle, target, rebuild, fallback):
    """Stands in the table for what needs a GPU: the same, for a place that is made up."""
    key = key_of(bundle.root, target, ORIN)
    trt, cache = import_tensorrt("tensorrt_rtx"), cache_folder()
    build_for(bundle, target, key, trt=trt, cache=cache, fallback=fallback, **EXPERT)
    return f"{target.name} was built"


def no_plan_of_rtx(root, target):
    return why_no_plan(cache_folder(), key_of(root, target, ORIN))


@pytest.fixture
def orin(monkeypatch, cache, rtx):
    row = Row(
        "unused:unused",
        "tensorrt_rtx",
        "",
        build=f"{__name__}:build_with_rtx",
        why_not_built=f"{__name__}:no_plan_of_rtx",
    )
    monkeypatch.setitem(RUNNERS, "tensorrt", row)
    return cache


def test_int8_falls_back_to_float_and_says_so(tensorrt_bundle, orin, tmp_path):
    model = with_zero_point(onnx.load(tensorrt_bundle / "tensorrt/model.onnx"))
    bundle = with_models(tensorrt_bundle, tmp_path, tensorrt=model)
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    result = build(bundle, "tensorrt")
    assert (result.asked, result.target, result.fell_back) == ("tensorrt", "tensorrt-float", True)
    assert "tensorrt (int8) does not build here: TensorRT" in result.said[0]
    assert result.said[0].endswith("; falling back to tensorrt-float")
    kept = {record.target: record for record in records(orin)}
    assert kept["tensorrt"].fallback == "tensorrt-float"
    assert kept["tensorrt"].plan_sha256 is None
    assert kept["tensorrt-float"].failure is None
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before
    # Whoever asks later is told: the doctor, and whoever opens the target.
    assert any("does not take the operator" in line for line in diagnose().engines)
    reason = why_not_here(bundle, targets_of(read_bundle(bundle))["tensorrt"])
    assert "did not build here" in reason
    assert reason.endswith("tensorrt-float runs instead")


def test_float_that_does_not_build_either_falls_back_to_onnxruntime(
    tensorrt_bundle, orin, tmp_path
):
    int8 = with_zero_point(onnx.load(tensorrt_bundle / "tensorrt/model.onnx"))
    half = with_unknown_operator(onnx.load(tensorrt_bundle / "tensorrt-float/model.onnx"))
    bundle = with_models(tensorrt_bundle, tmp_path, tensorrt=int8, tensorrt_float=half)
    result = build(bundle)
    assert (result.target, len(result.said)) == ("onnxruntime", 2)
    assert result.said[1].startswith("tensorrt-float (float16) does not build here: TensorRT")
    assert result.said[1].endswith("falling back to onnxruntime")
    with pytest.raises(BundleError, match=r"did not build here .*onnxruntime runs instead"):
        Engine.open(bundle, "tensorrt-float")
    assert Engine.open(bundle).describe().startswith("onnxruntime")


def test_fallbacks_are_float_then_what_needs_no_building(tensorrt_bundle):
    bundle = read_bundle(tensorrt_bundle)
    chain = [target.name for target in fallbacks(bundle, targets_of(bundle)["tensorrt"])]
    assert chain == ["tensorrt-float", "onnxruntime"]
    alone = replace(bundle, manifest=replace(bundle.manifest, targets=bundle.manifest.targets[1:]))
    assert [target.name for target in fallbacks(alone, alone.manifest.targets[1])] == []


FILL = """
import resource, sys
from pathlib import Path
from pocketbert.compress.errors import UserError
from pocketbert.deploy.tensorrt_engines import read_record, store, store_timings
folder, cache, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for write in (
    lambda: store(cache, read_record(folder), b"x" * 400_000),
    lambda: store_timings(cache / "timing-x.cache", b"x" * 400_000),
):
    try:
        write()
    except UserError as error:
        print(error)
print([str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()])
"""


def filled(command, cache, record, limit):
    folder = record.key.folder(cache)
    small = cache.parent / "small"
    small.mkdir()
    return subprocess.run(
        [*command(small), sys.executable, "-c", FILL, str(folder), str(small), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_a_file_that_cannot_be_written_leaves_nothing(cache, record):
    said = filled(lambda small: [], cache, record, 100_000)
    assert len(said) == 3
    assert all("cannot be written (File too large), expected room" in line for line in said[:2])
    assert said[2] == "[]"


def test_a_full_disk_leaves_nothing(cache, record):
    def on_a_small_disk(small):
        mount = f'mount -t tmpfs -o size=200k none {small} && exec "$@"'
        return ["unshare", "-m", "sh", "-c", mount, "sh"]

    probe = subprocess.run(
        [*on_a_small_disk("/mnt"), "true"], capture_output=True, text=True, check=False
    )
    if probe.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {probe.stderr.strip()}")
    said = filled(on_a_small_disk, cache, record, 0)
    assert all("(No space left on device), expected room" in line for line in said[:2])
    assert said[2] == "[]"


@pytest.mark.gpu
def test_on_a_gpu_timings_that_do_not_fit_are_started_anew():
    trt = import_tensorrt()
    config = trt.Builder(trt.Logger(trt.Logger.ERROR)).create_builder_config()
    start_timings(config, b"no cache at all")
    assert bytes(config.get_timing_cache().serialize())


def test_timings_are_of_a_place(cache):
    assert timing_cache(cache, ORIN) != timing_cache(cache, THOR)


def test_workspace_fits_the_board():
    gib = 1 << 30
    assert workspace_mib(int(3.3 * gib)) == 422
    assert workspace_mib(int(7.4 * gib)) == 947
    assert workspace_mib(64 * gib) == 1024


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD", "L4T 36.4.3 (JetPack 6.2)"),
        ("# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD", "L4T 36.4.7 (JetPack 6.2.1)"),
        ("# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD", "L4T 35.4.1 (JetPack 5)"),
        ("# R39 (release), REVISION: 2.0, GCID: 1, BOARD: generic", "L4T 39.2.0 (JetPack 7.2)"),
        ("# R40 (release), REVISION: 1.0, GCID: 1, BOARD: generic", "L4T 40.1.0"),
        ("something else, entirely", "L4T of unknown release (something else)"),
    ],
)
def test_jetpack(tmp_path, line, name):
    release = tmp_path / "nv_tegra_release"
    assert read_jetpack(release) is None
    release.write_text(line + ", EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n")
    assert read_jetpack(release) == name


def pocketbert(*arguments):
    program = "from pocketbert.recipes.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.skipif(why_not("tensorrt") is None, reason="this machine has TensorRT and a GPU")
def test_a_machine_without_tensorrt_says_so_in_a_sentence(tensorrt_bundle, bert):
    refused = pocketbert("build", tensorrt_bundle, "--target", "tensorrt")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: the target tensorrt cannot be built here, ")
    assert refused.stderr.count("\n") == 1
    nothing = pocketbert("build", bert.bundle)
    assert nothing.returncode == 2
    assert "has no target that is built on the device, expected one; all of" in nothing.stderr
    other = pocketbert("build", tensorrt_bundle, "--target", "onnxruntime")
    assert other.returncode == 2
    assert "expected one of: tensorrt, tensorrt-float" in other.stderr


def test_dla_is_refused_with_the_reason(tensorrt_bundle, tmp_path):
    refused = pocketbert("build", tensorrt_bundle, "--dla")
    assert refused.returncode == 2
    assert "DLA multiplies no two activations" in refused.stderr
    script = [
        "sh",
        str(tensorrt_bundle / "tensorrt/build.sh"),
        str(tmp_path / "out"),
        "--useDLACore=0",
    ]
    refused = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (refused.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "DLA multiplies no two activations" in refused.stderr
    assert "--useDLACore" in refused.stderr


@pytest.mark.gpu
def test_on_a_gpu_build_then_open(tensorrt_bundle, cache):
    assert build(tensorrt_bundle).target == "tensorrt"
    (record,) = records(cache)
    assert record.plan_sha256 is not None
    assert "was built before" in build(tensorrt_bundle).said[0]
    assert "was built in" in build(tensorrt_bundle, rebuild=True).said[0]
    assert Engine.open(tensorrt_bundle, "tensorrt").describe().startswith("tensorrt")
    assert read_bundle(tensorrt_bundle).root.joinpath(MANIFEST).is_file()


def test_keeping_again_replaces(cache, record):
    failed = store(cache, replace(record, failure="wrong answers", plan_sha256=None), None)
    assert "did not build here" in why_no_plan(cache, failed.key)
    assert not (record.key.folder(cache) / PLAN).exists()

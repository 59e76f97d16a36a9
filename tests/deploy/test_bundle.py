import json
import os
import shutil
import subprocess
import sys

import jsonschema
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import hash_file, read_bundle, write_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.manifest_schema import FILE, manifest_schema
from pocketbert.deploy.selftest import selftest


@pytest.fixture
def copy(bert, tmp_path):
    return shutil.copytree(bert.bundle, tmp_path / "bundle")


def change_manifest(bundle, change):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_round_trip(bert, tmp_path):
    bundle = read_bundle(bert.bundle)
    files = {name: bert.bundle / name for name in bundle.manifest.sha256}
    written = write_bundle(tmp_path / "again", files, bundle.manifest)
    assert read_bundle(tmp_path / "again").manifest == written == bundle.manifest


def test_rewriting_replaces_the_earlier_bundle(copy, bert):
    (copy / "left-over").write_text("x")
    bundle = read_bundle(bert.bundle)
    write_bundle(copy, {n: bert.bundle / n for n in bundle.manifest.sha256}, bundle.manifest)
    assert not (copy / "left-over").exists()


@pytest.mark.parametrize("name", ["onnxruntime/model.onnx", "tokenizer.json", "calibration.json"])
def test_one_changed_byte(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match="does not have the hash"):
        read_bundle(copy)


def test_truncated_file(copy):
    data = (copy / "onnxruntime/model.onnx").read_bytes()
    (copy / "onnxruntime/model.onnx").write_bytes(data[:-100])
    with pytest.raises(BundleError, match="does not have the hash"):
        read_bundle(copy)


def test_missing_file(copy):
    (copy / "golden.json").unlink()
    with pytest.raises(BundleError, match=r"lacks golden\.json"):
        read_bundle(copy)


def test_unlisted_file(copy):
    (copy / "onnxruntime" / "extra.bin").write_text("x")
    with pytest.raises(BundleError, match=r"holds onnxruntime/extra\.bin"):
        read_bundle(copy)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/hostname", "onnxruntime/../../outside", "..\\outside", "C:x", ""]
)
def test_path_that_leaves_the_bundle(copy, name):
    (copy.parent / "outside").write_text("x")
    digest = hash_file(copy.parent / "outside")
    change_manifest(copy, lambda manifest: manifest["sha256"].update({name: digest}))
    with pytest.raises(BundleError, match="relative path inside the bundle"):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["golden.json", "onnxruntime", "manifest.json"])
def test_symbolic_link(copy, name):
    target = copy.parent / "elsewhere"
    (copy / name).rename(target)
    (copy / name).symlink_to(target)
    with pytest.raises(BundleError, match=r"symbolic link|has no manifest\.json"):
        read_bundle(copy)


def test_model_outside_the_hashes(copy):
    change_manifest(copy, lambda manifest: manifest["targets"][0].update(path="../model.onnx"))
    with pytest.raises(BundleError, match="has no hash for"):
        read_bundle(copy)


def test_future_schema_is_named_before_its_unknown_fields(copy):
    change_manifest(copy, lambda manifest: manifest.update(schema_version=4, quantum=True))
    with pytest.raises(BundleError, match="schema version 4, this pocketbert reads up to 3"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m.update(quantum=True), "quantum"),
        (lambda m: m.pop("labels"), "labels"),
        (lambda m: m.update(labels=[]), "labels"),
        (lambda m: m["targets"][0].update(isa="z80"), r"targets\.0\.isa"),
        (lambda m: m["targets"][0].update(colour="red"), r"targets\.0\.colour"),
    ],
)
def test_wrong_manifest_is_named_by_place(copy, change, place):
    change_manifest(copy, change)
    with pytest.raises(BundleError, match=f"wrong at `{place}`"):
        read_bundle(copy)


def test_manifest_that_is_no_json(copy):
    (copy / "manifest.json").write_text('{"schema_version": 1')
    with pytest.raises(BundleError, match="is not JSON"):
        read_bundle(copy)


def test_not_a_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        read_bundle(tmp_path / "nothing")


def test_the_shipped_schema_is_that_of_the_code():
    assert json.loads(FILE.read_text()) == manifest_schema()


def test_the_schema_takes_a_real_manifest_and_refuses_what_the_code_refuses(bert):
    schema = json.loads(FILE.read_text())
    check = jsonschema.Draft202012Validator(schema)
    check.check_schema(schema)
    manifest = json.loads((bert.bundle / "manifest.json").read_text())
    check.validate(manifest)
    for change in ({"quantum": True}, {"max_length": 10**9}, {"targets": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            check.validate(manifest | change)


OVERSIZED = {
    "labels": (lambda m: m.update(labels=["a"] * 70_000), "wrong at `labels`"),
    "histogram": (lambda m: m.update(length_histogram=[0] * 10_000), "`length_histogram`"),
    "count": (lambda m: m.update(length_histogram=[10**18]), r"`length_histogram\.0`"),
    "max_length": (lambda m: m.update(max_length=10**9), "wrong at `max_length`"),
    "threads": (lambda m: m["targets"][0].update(threads=10**6), r"`targets\.0\.threads`"),
    "lengths": (lambda m: m["targets"][0].update(lengths=[1] * 1000), r"`targets\.0\.lengths`"),
    "overlap": (
        lambda m: m.update(truncation={"keep": "windows", "window_overlap": 31}),
        "windows share 31 tokens",
    ),
    "hash": (lambda m: m["sha256"].update({"golden.json": "x" * 64}), r"sha256\.golden\.json"),
}


@pytest.mark.parametrize("name", OVERSIZED)
def test_oversized_declarations_are_refused(copy, name):
    change, message = OVERSIZED[name]
    change_manifest(copy, change)
    with pytest.raises(BundleError, match=message) as caught:
        Engine.open(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 1_000_000, "is not JSON"),
        ('{"labels": ' * 300_000, "is not JSON"),
        ('{"labels": [' + '"a",' * 26_000_000, "has 104000012 bytes, expected at most 4194304"),
    ],
    ids=["brackets", "objects", "100 MB"],
)
def test_a_hostile_manifest_costs_no_memory(copy, content, message):
    """In a process of its own, whose memory is capped 300 MB above what the imports take."""
    (copy / "manifest.json").write_text(content)
    code = """
import resource, sys
from pathlib import Path
from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import read_bundle
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 300_000_000,) * 2)
try:
    read_bundle(Path(sys.argv[1]))
except BundleError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    assert message in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_pipe_in_a_bundle_is_refused_and_not_read(copy):
    (copy / "golden.json").unlink()
    os.mkfifo(copy / "golden.json")
    with pytest.raises(BundleError, match="is no file"):
        read_bundle(copy)


def test_lazily_the_target_s_files_are_verified_and_the_rest_by_the_selftest(copy):
    (copy / "calibration.json").write_bytes(b"{}")
    assert Engine.open(copy, verify="lazy")(["superb"])
    for refused in (Engine.open, selftest):
        with pytest.raises(BundleError, match=r"calibration\.json does not have the hash"):
            refused(copy)


@pytest.mark.parametrize("name", ["onnxruntime/model.onnx", "tokenizer.json"])
def test_lazily_a_changed_file_of_the_target_is_refused(copy, name):
    with (copy / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match="does not have the hash"):
        Engine.open(copy, verify="lazy")

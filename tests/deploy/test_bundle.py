import json
import shutil

import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import hash_file, read_bundle, write_bundle


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
    change_manifest(copy, lambda manifest: manifest.update(schema_version=3, quantum=True))
    with pytest.raises(BundleError, match="schema version 3, this pocketbert reads up to 2"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m.update(quantum=True), "quantum"),
        (lambda m: m.pop("labels"), "labels"),
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

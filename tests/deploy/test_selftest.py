import json
import shutil

import pytest

from pocketbert.deploy.bundle import read_bundle, write_bundle
from pocketbert.deploy.selftest import selftest


def replant(bundle, out, change):
    """The same bundle with other golden values, hashed anew."""
    golden = json.loads((bundle / "golden.json").read_text())
    change(golden)
    planted = out / "golden.json"
    planted.write_text(json.dumps(golden))
    manifest = read_bundle(bundle).manifest
    files = {name: bundle / name for name in manifest.sha256} | {"golden.json": planted}
    write_bundle(out / "bundle", files, manifest)
    return out / "bundle"


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_passes_on_the_machine_that_compiled_it(name, request):
    result = selftest(request.getfixturevalue(name).bundle)
    assert result.passed
    assert result.texts == 8
    assert result.engine.startswith("onnxruntime: ")


def test_another_logit_is_detected(bert, tmp_path):
    def change(golden):
        answers = golden["targets"]["onnxruntime"]
        answers["logits"][5][1] += 2 * answers["tolerance"]

    result = selftest(replant(bert.bundle, tmp_path, change))
    assert not result.passed
    assert result.max_abs_difference > result.tolerance


def test_nan_is_detected(bert, tmp_path):
    bundle = replant(
        bert.bundle,
        tmp_path,
        lambda golden: golden["targets"]["onnxruntime"]["logits"][0].__setitem__(0, float("nan")),
    )
    assert not selftest(bundle).passed


def test_other_tokens_are_detected(bert, tmp_path):
    bundle = replant(bert.bundle, tmp_path, lambda golden: golden["input_ids"][3].append(7))
    result = selftest(bundle)
    assert not result.passed
    assert result.texts_with_other_tokens == 1


def test_a_copy_elsewhere_passes(bert, tmp_path):
    assert selftest(shutil.copytree(bert.bundle, tmp_path / "copy")).passed


def test_a_bundle_of_format_1_still_runs(bert, tmp_path):
    def change(golden):
        golden.update(golden.pop("targets")["onnxruntime"])

    bundle = replant(bert.bundle, tmp_path, change)
    manifest = json.loads((bundle / "manifest.json").read_text()) | {"schema_version": 1}
    for name in ("float_precision", "lengths"):
        del manifest["targets"][0][name]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert selftest(bundle).passed

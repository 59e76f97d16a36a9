import json

import numpy as np
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy import golden as golden_stage
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine


def compiled(stages, out, quantized, **config):
    return compile_bundle(
        out=out,
        config=CompileConfig(**config),
        data=stages.data,
        exported=stages.exported,
        quantized=quantized,
        lineage={},
        name="tiny",
    )


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_weight_products_really_run_in_int8(name, request):
    stages = request.getfixturevalue(name)
    assert stages.compile["int8_matmuls"] == 13
    assert stages.compile["float_weight_matmuls"] == 1  # the classifier
    target = read_bundle(stages.bundle).manifest.targets[0]
    assert (target.int8_matmuls, target.float_weight_matmuls) == (13, 1)


def test_float_bundle_runs_anywhere(bert, tmp_path):
    summary = compiled(bert, tmp_path, None)
    assert (summary["isa"], summary["precision"]) == ("any", "float32")
    assert (summary["int8_matmuls"], summary["float_weight_matmuls"]) == (0, 14)
    assert not (tmp_path / "bundle" / "calibration.json").exists()
    texts = ["superb", "the film is dull"]
    exported = Engine.from_onnx(bert.exported, ("bad", "good"), 32).logits(texts)
    np.testing.assert_array_equal(Engine.open(tmp_path / "bundle").logits(texts), exported)


def test_int8_bundle_is_smaller(bert, tmp_path):
    assert compiled(bert, tmp_path, None)["bytes"] > 2 * bert.compile["bytes"]


@pytest.mark.parametrize(
    ("isa", "edits"),
    [
        ("x86_64", ["narrow_weights", "shift_zero_points", "fuse_integer_matmuls", "fuse_lstms"]),
        ("x86_64_vnni", ["shift_zero_points", "fuse_integer_matmuls", "fuse_lstms"]),
        ("arm64", ["fuse_integer_matmuls", "fuse_lstms"]),
    ],
)
def test_edits_of_each_instruction_set(bert, tmp_path, isa, edits):
    assert list(compiled(bert, tmp_path, bert.quantized, isa=isa)["edits"]) == edits


def test_nothing_else_is_left_in_the_stage_folder(bert):
    assert [path.name for path in bert.compiled.iterdir()] == ["bundle"]


def test_manifest_describes_the_data(bert):
    manifest = read_bundle(bert.bundle).manifest
    assert (manifest.name, manifest.labels, manifest.max_length) == ("tiny", ("bad", "good"), 32)
    assert sum(manifest.length_histogram) > 300
    assert manifest.lineage == {"quantize": "0123456789ab"}
    assert manifest.inputs == ("input_ids", "attention_mask", "token_type_ids")


def test_a_bundle_that_fails_here_is_refused(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(golden_stage, "_tolerance", lambda *_: -1.0)
    with pytest.raises(BundleError, match="target onnxruntime, differs on this machine"):
        compiled(bert, tmp_path, bert.quantized)


def test_a_machine_may_differ_by_what_int8_costs(bert, tmp_path, monkeypatch):
    monkeypatch.setitem(golden_stage.GOLDEN_TOLERANCE, "int8", 0.0)
    summary = compiled(bert, tmp_path, bert.quantized)
    golden = json.loads((tmp_path / "bundle/golden.json").read_text())
    tolerance = golden["targets"]["onnxruntime"]["tolerance"]
    assert tolerance == summary["golden_max_abs_difference_to_float"] > 0

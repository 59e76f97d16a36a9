import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from pocketbert.compress.errors import ModelError
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.footprint import count_parameters, footprint


def test_parameters_are_those_of_the_tensors(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = {"weight": np.zeros((7, 5), np.float32), "scale": np.zeros((), np.float16)}
    save_file(tensors, path, metadata={"format": "pt"})
    assert count_parameters(path) == 7 * 5 + 1


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x04" + b"\0" * 7 + b"nope"])
def test_a_broken_header_is_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors has no readable safetensors header"):
        count_parameters(path)


def test_bundle_counts_its_model_and_all_of_it(bundle_folder, model_folder):
    artifact = Artifact(
        name="engine", title="", kind="bundle", folder=str(bundle_folder), model_folder=None
    )
    measured = footprint(artifact)
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    assert measured.weights_bytes == manifest["targets"][0]["bytes"]
    assert measured.total_bytes > measured.weights_bytes
    assert measured.parameters is None

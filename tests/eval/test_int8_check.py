import json

import numpy as np
import pytest

from pocketbert.compress.data import load_split
from pocketbert.deploy.engine import Engine
from pocketbert.eval.int8_check import check_int8


def test_it_tells_which_share_of_the_accuracy_an_engine_keeps(
    onnx_folder, bundle_folder, forgetful_folder, tiny_data, tmp_path
):
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled/bundle").symlink_to(bundle_folder)
    found = check_int8(
        out=tmp_path, data=tiny_data, exported=onnx_folder, compiled=tmp_path / "compiled"
    )
    validation = load_split(tiny_data, "validation")
    forgetful = Engine.open(bundle_folder).logits(validation.texts).argmax(1)
    right = float(np.mean(forgetful == validation.labels))
    assert found["float_accuracy"] == 1.0  # knows every word that carries a label
    assert 0.3 < found["int8_accuracy"] < 1.0
    assert found["int8_accuracy"] == pytest.approx(right)
    assert found["int8_kept"] == pytest.approx(right)
    assert json.loads((tmp_path / "int8_check.json").read_text()) == found

"""An MPNet that became a BERT, through the deploy stages."""

import numpy as np
import pytest

from pocketbert.deploy.engine import Engine
from pocketbert.deploy.selftest import selftest

TEXTS = ["the film is superb", "", "a clumsy story and very dull actors", "lovely " * 40]


def test_its_products_run_in_int8_and_its_mask_is_one_row(biased):
    assert biased.compile["int8_matmuls"] == 13
    assert biased.compile["float_weight_matmuls"] == 1
    assert biased.export["edits"]["broadcast_mask"] == 1
    assert biased.export["edits"]["first_position_only"] > 0
    assert selftest(biased.bundle).passed


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_engine_agrees_with_pytorch(biased, batch_size):
    expected = Engine.from_model_folder(biased.student / "model").logits(TEXTS)
    exported = Engine.from_onnx(biased.exported, ("bad", "good"), 32)
    np.testing.assert_allclose(exported.logits(TEXTS, batch_size), expected, atol=1e-4)
    int8 = Engine.open(biased.bundle).logits(TEXTS, batch_size)
    assert np.abs(int8 - expected).max() < 0.2 * np.abs(expected).max()

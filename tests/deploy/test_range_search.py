import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pocketbert.compress.data import load_split
from pocketbert.deploy.graph import initializers
from pocketbert.deploy.range_search import narrow_ranges
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.fixture
def parts(bert):
    model = onnx.load_model(bert.quantized / "model.onnx")
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", 32)
    texts = load_split(bert.data, "train").texts[:24]
    return model, bert.exported / "model.onnx", tokenizer, texts


def scales_of(model):
    stored = initializers(model)
    names = [node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return {name: float(numpy_helper.to_array(stored[name])) for name in names}


def test_a_stretched_range_is_found_and_narrowed(parts):
    model, float_path, tokenizer, texts = parts
    honest = scales_of(model)
    stretched = list(honest)[2]
    scale = initializers(model)[stretched]
    scale.CopyFrom(numpy_helper.from_array(np.float32(3 * honest[stretched]), stretched))
    found = narrow_ranges(model, float_path, tokenizer, texts)
    assert found["logit_rms"] < found["logit_rms_before"]
    assert scales_of(model)[stretched] < 2.9 * honest[stretched]


def test_a_range_that_is_all_needed_stays(parts):
    model, float_path, tokenizer, texts = parts
    honest = scales_of(model)
    needed = next(iter(honest))
    scale = initializers(model)[needed]
    scale.CopyFrom(numpy_helper.from_array(np.float32(0.2 * honest[needed]), needed))
    narrow_ranges(model, float_path, tokenizer, texts)
    assert scales_of(model)[needed] == pytest.approx(0.2 * honest[needed])

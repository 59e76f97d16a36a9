import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.floors import floors
from pocketbert.eval.roofline import Peaks, floor_of, least_ms, measure_peaks, work_of

PEAKS = Peaks(
    threads=1,
    fp32_macs_per_s=1e9,
    int8_macs_per_s=4e9,
    copy_bytes_per_s=1e9,
    last_cache_bytes=1_000_000,
)


@pytest.fixture
def attention(tmp_path):
    """Tokens times an 8 by 6 matrix, and every token with every other."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weight"], ["states"]),
        helper.make_node("Transpose", ["states"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["states", "turned"], ["scores"]),
    ]
    constants = [
        numpy_helper.from_array(np.ones((5, 8), np.float32), "table"),
        numpy_helper.from_array(np.ones((8, 6), np.float32), "weight"),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
    out = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "seq", "seq"])
    graph = helper.make_graph(nodes, "attention", [ids], [out], constants)
    opset = helper.make_opsetid("", 17)
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "model.onnx"
    )
    return tmp_path


def test_work_is_counted_at_any_length(attention):
    work = work_of(attention / "model.onnx")
    tokens = np.array([1, 7, 100])
    assert work.macs_at(tokens) == pytest.approx(48 * tokens + 6 * tokens**2)
    assert work.weights == 48


def test_the_floor_is_of_products_or_of_weights_that_no_cache_holds():
    macs = np.array([2e6])
    assert least_ms(PEAKS, macs, 1000, "float32") == pytest.approx([2.0])
    assert least_ms(PEAKS, macs, 1000, "int8") == pytest.approx([0.5])
    assert least_ms(PEAKS, macs, 5_000_000, "float32") == pytest.approx([20.0])
    assert least_ms(PEAKS, macs, 5_000_000, "int8") == pytest.approx([5.0])


def test_an_artifact_is_held_against_the_export_of_its_model(attention, onnx_folder):
    for name in ("tokenizer.json",):
        (attention / name).write_bytes((onnx_folder / name).read_bytes())

    def artifact(name, kind, folder, model):
        return Artifact(name=name, title=name, kind=kind, folder=str(folder), model_folder=model)

    artifacts = [
        artifact("onnx", "onnx", attention, "m"),
        artifact("eager", "model", attention, "m"),
        artifact("other", "model", attention, "n"),
        artifact("words", "onnx", onnx_folder, "w"),
    ]
    p50_ms = dict.fromkeys(("onnx", "eager", "other", "words"), 1.0)
    # Two words and two special tokens.
    found = floors(artifacts, p50_ms, ["dull film"], 32, PEAKS)
    least = 1000 * (48 * 4 + 6 * 16) / PEAKS.fp32_macs_per_s
    assert found["onnx"] == found["eager"]
    assert found["onnx"].ms == pytest.approx(least)
    assert found["onnx"].p50_over_floor == pytest.approx(1 / least)
    assert found["other"] is None  # no export to count in
    assert found["words"] is None  # no products
    assert floor_of(PEAKS, work_of(onnx_folder / "model.onnx"), np.array([4]), "int8", 1.0) is None


def test_peaks_are_of_this_machine():
    peaks = measure_peaks(1)
    # From a tenth of a GFLOP/s of any processor of today to far more than one thread does.
    assert 1e8 < peaks.fp32_macs_per_s < 1e13
    assert 1e8 < peaks.int8_macs_per_s < 1e14
    assert 1e8 < peaks.copy_bytes_per_s < 1e13

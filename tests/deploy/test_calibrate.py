import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from pocketbert.compress.data import load_split
from pocketbert.compress.errors import DataError, ModelError
from pocketbert.deploy.activation_ranges import METHODS, activation_range
from pocketbert.deploy.activations import sample_texts
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.calibration_table import read_table
from pocketbert.deploy.observed import BINS, Observed
from pocketbert.deploy.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def table(bert, tmp_path_factory):
    out = tmp_path_factory.mktemp("calibrated")
    calibrate(out=out, examples=40, data=bert.data, exported=bert.exported)
    return out / "calibration.json"


@pytest.fixture(scope="module")
def collected(bert, table, tmp_path_factory):
    """Every value of every tensor of the table, kept in full."""
    names = list(read_table(table, bert.exported / "model.onnx").tensors)
    model = onnx.load(bert.exported / "model.onnx")
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    path = tmp_path_factory.mktemp("watched") / "model.onnx"
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer(bert.exported / "tokenizer.json", 32)
    seen = {name: [] for name in names}
    for text in sample_texts(bert.data, 40):
        inputs = tokenizer.encode([text])
        values = session.run(names, {i.name: inputs[i.name] for i in session.get_inputs()})
        for name, value in zip(names, values, strict=True):
            seen[name].append(value.reshape(-1))
    return {name: np.concatenate(values) for name, values in seen.items()}


@pytest.fixture
def broken(bert, tmp_path):
    """A copy of the export stage's folder with another model in it."""

    def with_model(change):
        folder = tmp_path / "exported"
        shutil.copytree(bert.exported, folder)
        model = onnx.load(folder / "model.onnx")
        change(model)
        onnx.save(model, folder / "model.onnx")
        return folder

    return with_model


def test_the_table_holds_all_that_any_placement_may_quantize(bert, table):
    tensors = read_table(table, bert.exported / "model.onnx").tensors
    # 2 layers: in, out, both of the block; query, key, probabilities, value. The last layer reads
    # the first position of its input once for the query and once for the sum; and the pooler.
    assert len(tensors) == 2 * 8 + 1 + 1
    assert sum("Softmax" in name for name in tensors) == 2


def test_ranges_are_numpys_own_over_all_values(bert, table, collected):
    for name, seen in read_table(table, bert.exported / "model.onnx").tensors.items():
        values = collected[name]
        # Kernels of the watched graph may differ in the last bits from those of a fused one.
        assert seen.lowest == pytest.approx(values.min(), rel=1e-5)
        assert seen.highest == pytest.approx(values.max(), rel=1e-5)
        assert seen.counts.sum() == values.size
        counts, _ = np.histogram(values, bins=seen.edges)
        assert np.abs(counts - seen.counts).sum() <= 1e-3 * values.size


def test_percentile_is_numpys_within_a_bin(bert, table, collected):
    for name, seen in read_table(table, bert.exported / "model.onnx").tensors.items():
        low, high = METHODS["percentile"](seen, False)
        cut = (100 - 99.999) / 2
        wanted = np.percentile(collected[name], [cut, 100 - cut], method="inverted_cdf")
        bin_width = 2 * seen.limit / BINS
        assert abs(low - wanted[0]) <= bin_width * 1.01
        assert abs(high - wanted[1]) <= bin_width * 1.01


@pytest.fixture
def with_outlier():
    """A normal distribution and one value far out."""
    seen = Observed()
    seen.add(np.random.default_rng(0).normal(size=400_000).astype(np.float32))
    seen.add(np.array([12.0], dtype=np.float32))
    return seen


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_an_outlier_is_cut_off(with_outlier, method, symmetric):
    low, high = activation_range(with_outlier, method, symmetric)
    assert 2.5 < high < 8
    assert -8 < low < -2.5
    assert not symmetric or low == -high
    assert activation_range(with_outlier, "minmax", symmetric)[1] == 12


@pytest.mark.parametrize("symmetric", [False, True])
def test_no_threshold_has_a_smaller_error_than_that_of_mse(with_outlier, symmetric):
    draw = np.random.default_rng(0).normal(size=400_000).astype(np.float32)
    values = np.append(draw, np.float32(12))

    def error(limit):
        low, high = max(values.min(), -limit), min(values.max(), limit)
        low, high = (-limit, limit) if symmetric else (low, high)
        step = (high - low) / (254 if symmetric else 255)
        rounded = np.rint(values.clip(low, high) / step) * step
        return float(((rounded - values).astype(np.float64) ** 2).mean())

    found = error(activation_range(with_outlier, "mse", symmetric)[1])
    best = min(error(limit) for limit in np.linspace(1, 12, 300))
    assert found <= 1.15 * best
    assert found < 0.8 * error(12)


def test_the_histogram_is_the_same_in_any_order_and_never_grows():
    draw = np.random.default_rng(0)
    parts = [draw.normal(scale=10.0**power, size=999).astype(np.float32) for power in range(-6, 7)]
    forwards, backwards = Observed(), Observed()
    for part in [np.zeros(5, dtype=np.float32), *parts]:
        assert forwards.add(part)
    for part in [*parts[::-1], np.zeros(5, dtype=np.float32)]:
        assert backwards.add(part)
    np.testing.assert_array_equal(forwards.counts, backwards.counts)
    assert forwards.counts.size == BINS
    assert forwards.limit == backwards.limit > forwards.highest
    counts, _ = np.histogram(np.concatenate(parts), bins=forwards.edges)
    assert forwards.counts.sum() == counts.sum() + 5


def test_zeros_alone_have_a_range():
    seen = Observed()
    assert seen.add(np.zeros(3, dtype=np.float32))
    for method in METHODS:
        assert activation_range(seen, method, symmetric=False) == (0, 0)


def test_a_table_given_back_is_taken_over_without_any_text(bert, table, tmp_path):
    (tmp_path / "train.jsonl").write_text("")  # would be refused if it were read
    result = calibrate(
        out=tmp_path, examples=1, data=tmp_path, exported=bert.exported, table=str(table)
    )
    assert result["texts"] == 40
    assert (tmp_path / "calibration.json").read_bytes() == table.read_bytes()


def test_a_table_of_another_graph_is_refused(bert, mpnet, table, tmp_path):
    with pytest.raises(ModelError, match=r"belongs to the graph .* expected a calibration table"):
        calibrate(
            out=tmp_path, examples=1, data=bert.data, exported=mpnet.exported, table=str(table)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(texts=41), "does not have the hash that it states"),
        (lambda content: content.pop("texts"), "is no calibration table"),
    ],
)
def test_a_table_that_was_changed_is_refused(bert, table, tmp_path, change, message):
    content = json.loads(table.read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        read_table(path, bert.exported / "model.onnx")


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_what_is_no_table_is_refused(bert, tmp_path, content):
    path = tmp_path / "table.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ModelError, match=r"expected the calibration\.json of a calibrate stage"):
        read_table(path, bert.exported / "model.onnx")


def test_without_texts_there_is_nothing_to_calibrate_on(bert, tmp_path):
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(DataError, match="has 0 training texts, expected some to calibrate on"):
        calibrate(out=tmp_path, examples=8, data=tmp_path, exported=bert.exported)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_activation_that_is_not_finite_is_named(bert, broken, tmp_path, value):
    def plant(model):
        weight = next(t for t in model.graph.initializer if list(t.dims) == [64, 128])
        values = numpy_helper.to_array(weight).copy()
        values[0, 0] = value
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    with pytest.raises(ModelError, match=r"computes NaN or infinity in /.*intermediate"):
        calibrate(out=tmp_path, examples=8, data=bert.data, exported=broken(plant))
    assert not (tmp_path / "calibration.json").exists()


def test_another_tokenizer_is_refused(bert, broken, tmp_path):
    def fewer_words(model):
        table = next(t for t in model.graph.initializer if list(t.dims) == [300, 64])
        rows = numpy_helper.to_array(table)[:50]
        table.CopyFrom(numpy_helper.from_array(rows, table.name))

    with pytest.raises(ModelError, match=r"makes token \d+ of .*, expected numbers below 50"):
        calibrate(out=tmp_path, examples=40, data=bert.data, exported=broken(fewer_words))


def test_a_quantized_model_is_not_calibrated(bert, tmp_path):
    shutil.copy(bert.exported / "tokenizer.json", tmp_path)
    shutil.copy(bert.quantized / "model.onnx", tmp_path)
    with pytest.raises(ModelError, match=r"is quantized already .*, expected the float model"):
        calibrate(out=tmp_path, examples=8, data=bert.data, exported=tmp_path)


def test_texts_are_drawn_once_each_and_the_same_every_time(bert):
    drawn = sample_texts(bert.data, 40)
    assert drawn == sample_texts(bert.data, 40)
    everything = sample_texts(bert.data, 10**9)
    assert sorted(everything) == sorted(load_split(bert.data, "train").texts)

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError, UserError
from pocketbert.eval.score import Table, measure_table, score

from .conftest import CONFIG, LABELS

ROWS = [
    ("dull film", "bad", "en"),
    ("bright film", "good", "en"),
    ("gripping film", "good", "de"),
]


@pytest.fixture
def table(tmp_path):
    def write(rows, **more):
        path = tmp_path / "rows.jsonl"
        found = [{"text": t, "label": x, "language": y} for t, x, y in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        return Table(path=path, columns=ColumnsConfig(), **more)

    return write


def measure(path, table, **told):
    return measure_table(path, table, config=CONFIG, **told)


def test_accuracy_f1_and_slices_are_counted(bundle_folder, table):
    # The bundle's engine knows `dull` and `bright`; of `gripping` it says the first label.
    predictions, timing = measure(bundle_folder, table(ROWS, by=("language",)))
    result = score(predictions, CONFIG)
    assert result.examples == 3
    assert result.accuracy.value == pytest.approx(2 / 3)
    assert result.macro_f1.value == pytest.approx(2 / 3)
    assert {name: one.recall for name, one in result.classes.items()} == {"bad": 1.0, "good": 0.5}
    assert {(one.by, one.name): (one.examples, one.accuracy.value) for one in result.slices} == {
        ("class", "bad"): (1, 1.0),
        ("class", "good"): (2, 0.5),
        ("tokens", "1 to 8"): (3, pytest.approx(2 / 3)),
        ("language", "en"): (2, 1.0),
        ("language", "de"): (1, 0.0),
    }
    assert 0 < timing.p50_ms <= timing.p90_ms <= timing.p99_ms


def test_a_label_that_the_table_lacks_is_no_slice(bundle_folder, table):
    result = score(measure(bundle_folder, table(ROWS[1:]))[0], CONFIG)
    assert [one.name for one in result.slices if one.by == "class"] == ["good"]
    assert result.classes["bad"].examples == 0


def test_an_unknown_label_is_named(bundle_folder, table):
    with pytest.raises(DataError, match="row 1: the label is 'great'"):
        measure(bundle_folder, table([("a film", "great", "en")]))


def test_an_unknown_column_is_named(bundle_folder, table):
    with pytest.raises(DataError, match=r"expected 'languages' .*did you mean 'language'"):
        measure(bundle_folder, table(ROWS, by=("languages",)))


def test_an_empty_table_is_refused(bundle_folder, table):
    with pytest.raises(DataError, match="has no rows"):
        measure(bundle_folder, table([]))


def test_a_checkpoint_answers_as_transformers_does(tmp_path, tiny_checkpoint, table):
    torch.manual_seed(3)
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_checkpoint, num_labels=2, id2label=dict(enumerate(LABELS))
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    model.save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    predictions, _ = measure(tmp_path / "theirs", table(ROWS))
    inputs = tokenizer([text for text, _, _ in ROWS], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model.eval()(**inputs).logits.numpy()
    np.testing.assert_allclose(predictions.logits, expected, atol=1e-5)


def test_a_checkpoint_without_a_trained_head_is_refused(tiny_checkpoint, table):
    with pytest.raises(UserError, match=r"lacks classifier.*trained sequence classifier"):
        measure(tiny_checkpoint, table(ROWS))


def test_an_onnx_model_of_anyone_is_told_its_labels(tmp_path, onnx_folder, table):
    theirs = tmp_path / "theirs"
    shutil.copytree(onnx_folder, theirs)
    (theirs / "model.onnx").rename(theirs / "best.onnx")
    with pytest.raises(UserError, match="does not say its labels"):
        measure(theirs / "best.onnx", table(ROWS))
    predictions, _ = measure(theirs / "best.onnx", table(ROWS), labels=LABELS, max_length=32)
    assert (predictions.each == 1).all()
    (theirs / "config.json").write_text(
        json.dumps({"id2label": {"1": "good", "0": "bad"}, "max_position_embeddings": 32})
    )
    assert measure(theirs / "best.onnx", table(ROWS))[0].labels == LABELS


def test_an_onnx_model_with_other_outputs_or_inputs_is_refused(copied, onnx_folder, table):
    folder = copied(onnx_folder)
    with pytest.raises(UserError, match="1 x 2 numbers, expected 1 x 3"):
        measure(folder, table(ROWS), labels=("a", "b", "c"), max_length=32)
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        node.input[:] = ["tokens" if name == "input_ids" else name for name in node.input]
    model.graph.input[0].name = "tokens"
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(UserError, match="reads tokens, expected no inputs but"):
        measure(folder, table(ROWS), labels=LABELS, max_length=32)


def test_nothing_that_can_be_measured_is_said(tmp_path, table, bundle_folder, onnx_folder):
    with pytest.raises(UserError, match="holds nothing that can be measured"):
        measure(tmp_path, table(ROWS))
    with pytest.raises(UserError, match="expected neither --labels nor --max-length"):
        measure(bundle_folder, table(ROWS), labels=LABELS)
    with pytest.raises(UserError, match="is no bundle, expected one for --target"):
        measure(onnx_folder, table(ROWS), target="openvino")


def test_logits_that_are_no_numbers_are_refused(copied, onnx_folder, table):
    folder = copied(onnx_folder)
    model = onnx.load(folder / "model.onnx")
    (weights,) = (one for one in model.graph.initializer if one.name == "table")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[-16:] = np.nan  # the words that carry a label
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "table"))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(UserError, match="3 of 3 texts with NaN or infinity"):
        measure(folder, table(ROWS), labels=LABELS, max_length=32)

"""The prune stage on a tiny model: what is left reloads, exports and quantizes."""

import pytest
import torch

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import (
    PruneConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    load_model,
    load_tokenizer,
)
from pocketbert.compress.latency_table import (
    LatencyCurve,
    LatencyTable,
    save_latency_table,
)
from pocketbert.compress.prune import prune
from pocketbert.compress.surgery import widths_of
from pocketbert.compress.tasks import supervised
from pocketbert.compress.untrained import score_of
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.export import export_onnx

TABLE = LatencyTable(
    hidden_size=32,
    head_size=8,
    tokens=16,
    threads=1,
    precision="float32",
    machine="none",
    attention=LatencyCurve((0, 1, 2, 3, 4), (0.1, 1.0, 1.5, 2.5, 3.0)),
    feed_forward=LatencyCurve((0, 16, 32, 48, 64), (0.1, 1.0, 2.0, 3.0, 4.0)),
    last_attention=LatencyCurve((0, 1, 2, 3, 4), (0.1, 0.5, 0.8, 1.2, 1.5)),
    last_feed_forward=LatencyCurve((0, 16, 32, 48, 64), (0.1, 0.2, 0.3, 0.4, 0.5)),
)


def test_pruned_model_reloads_with_one_call_and_gives_the_same_logits(
    student, outputs, tiny_data, tmp_path, monkeypatch, training, objectives
):
    import pocketbert.compress.prune as stage

    trained = []
    save = stage.save_model
    monkeypatch.setattr(
        stage, "save_model", lambda model, *rest: (trained.append(model), save(model, *rest))
    )
    config = PruneConfig(
        heads=0.5, neurons=0.5, neuron_multiple=16, objectives=objectives, training=training
    )
    summary = prune(
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=outputs, out=tmp_path,
    )  # fmt: skip
    reloaded = load_model(tmp_path / "model")
    assert summary["widths"] == widths_of(reloaded)
    assert sum(width["heads"] for width in summary["widths"]) == 4
    assert sum(width["neurons"] for width in summary["widths"]) == 64
    assert summary["parameters"] < student[1]["parameters"]
    ids = torch.tensor([[2, 40, 41, 42, 3]])
    with torch.no_grad():
        torch.testing.assert_close(
            reloaded(input_ids=ids).logits, trained[0](input_ids=ids).logits, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    ("amount", "reconstruction", "steps"),
    [
        ({"heads": 0.5, "neurons": 0.5}, "none", 1),
        ({"heads": 0.5, "neurons": 0.5}, "least_squares", 3),
        ({"layers": 1}, "none", 1),
        ({"layers": 1, "heads": 0.5, "neurons": 0.5}, "least_squares", 2),
        ({"speedup": 3.0}, "none", 3),
        ({"speedup": 8.0}, "least_squares", 1),
    ],
)
def test_training_free_pruning_needs_no_teacher_and_reloads_exports_and_quantizes(
    student, tiny_data, tmp_path, amount, reconstruction, steps, to_int8
):
    table = None
    if "speedup" in amount:
        table = tmp_path / "table.json"
        save_latency_table(TABLE, table)
    config = PruneConfig(
        **amount,
        latency_table=table and str(table),
        neuron_multiple=16,
        steps=steps,
        reconstruction=reconstruction,
        importance_examples=64,
    )
    for name in ("pruned", "onnx", "int8"):
        (tmp_path / name).mkdir()
    summary = prune(
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=None,
        out=tmp_path / "pruned",
    )  # fmt: skip
    assert summary["steps"] == 0
    assert [path.name for path in (tmp_path / "pruned").iterdir()] == ["model"]
    model = load_model(tmp_path / "pruned/model")
    assert summary["widths"] == widths_of(model)
    if table:
        full = [{"heads": 4, "neurons": 64}] * 2
        assert TABLE.encoder_ms(summary["widths"]) <= TABLE.encoder_ms(full) / config.speedup
    else:
        layers = 2 - config.layers
        assert len(summary["widths"]) == layers
        assert sum(w["heads"] for w in summary["widths"]) == layers * 4 * (1 - config.heads)
        assert sum(w["neurons"] for w in summary["widths"]) == layers * 64 * (1 - config.neurons)
    validation = load_split(tiny_data, "validation")
    tokenizer = load_tokenizer(tmp_path / "pruned/model")
    examples = tokenize(validation, tokenizer, max_length=32)
    task = supervised("text-classification")
    assert score_of(model, examples, tokenizer, task) == summary["validation_accuracy"]
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=tmp_path / "pruned")  # proves parity
    quantized = to_int8(
        out=tmp_path / "int8", config=QuantizeConfig(calibration_examples=16, calibration="minmax"),
        data=tiny_data, exported=tmp_path / "onnx",
    )  # fmt: skip
    products = quantized["quantized_matmuls"] + quantized["float_weight_matmuls"]
    per_layer = [4 * (w["heads"] > 0) + 2 * (w["neurons"] > 0) for w in summary["widths"]]
    assert products == sum(per_layer) + 2  # and those of pooler and classifier


def test_in_steps_and_reconstructed_the_answers_stay_nearer(student, tiny_data, tmp_path):
    original = load_model(student[0] / "model")
    tokenizer = load_tokenizer(student[0] / "model")
    batch = tokenizer(load_split(tiny_data, "test").texts, padding=True, return_tensors="pt")
    errors = []
    for number, way in enumerate(({}, {"steps": 4, "reconstruction": "least_squares"})):
        out = tmp_path / str(number)
        out.mkdir()
        config = PruneConfig(heads=0.5, neurons=0.75, neuron_multiple=8, **way)
        prune(
            config=config,
            seed=0,
            data=tiny_data,
            examples=tiny_data,
            student=student[0],
            teacher_outputs=None,
            out=out,
        )
        with torch.no_grad():
            change = load_model(out / "model")(**batch).logits - original(**batch).logits
        errors.append(float(change.square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_a_speedup_that_cannot_be_reached_is_refused(student, tiny_data, tmp_path):
    save_latency_table(TABLE, tmp_path / "table.json")
    config = PruneConfig(speedup=30.0, latency_table=str(tmp_path / "table.json"))
    with pytest.raises(ModelError, match=r"prune.speedup is 30, expected at most 22\.48"):
        prune(
            config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
            teacher_outputs=None,
            out=tmp_path,
        )  # fmt: skip

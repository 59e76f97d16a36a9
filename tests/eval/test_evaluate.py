from dataclasses import replace

import numpy as np
import pytest

from pocketbert.compress.data import load_split
from pocketbert.compress.errors import DataError
from pocketbert.eval.config import ScenariosConfig, SingleStreamConfig
from pocketbert.eval.evaluate import evaluate, summarize
from pocketbert.eval.predictions import read_predictions
from pocketbert.eval.results import read_results, write_results

from .conftest import CONFIG


@pytest.fixture(scope="module")
def results(evaluation):
    return read_results(evaluation)


def test_accuracy_is_that_of_the_saved_predictions(evaluation, results, tiny_data):
    test = load_split(tiny_data, "test")
    for result in results.artifacts:
        kept = read_predictions(evaluation / "predictions" / f"{result.artifact.name}.parquet")
        assert kept.texts == tuple(test.texts)
        assert result.accuracy.value == (kept.logits.argmax(axis=1) == test.labels).mean()
        assert result.accuracy.low < result.accuracy.value <= result.accuracy.high + 1e-12


def test_the_model_that_knows_all_words_is_right_and_the_other_is_not(results):
    assert results.of("teacher-onnx").accuracy.value == 1.0
    assert results.of("engine-int8").accuracy.value < 1.0


def test_latency_is_that_of_the_saved_values(evaluation, results):
    saved = {
        result.artifact.name: np.load(evaluation / "latency" / f"{result.artifact.name}.npy")
        for result in results.artifacts
    }
    for result in results.artifacts:
        values = saved[result.artifact.name]
        assert values.shape == (CONFIG.latency_rounds, CONFIG.latency_texts)
        assert result.latency.p90_ms == pytest.approx(np.percentile(values, 90))
    by_round = np.median(saved["teacher-pytorch"], 1) / np.median(saved["engine-int8"], 1)
    assert results.of("engine-int8").to_teacher.p50_ratio == pytest.approx(np.median(by_round))


def test_everyone_is_compared_with_teacher_baseline_and_the_one_before(results):
    others = [
        tuple(to and to.other for to in (result.to_teacher, result.to_baseline, result.to_previous))
        for result in results.artifacts
    ]
    teacher, baseline = "teacher-pytorch", "teacher-onnx"
    assert others == [
        (None, baseline, None),
        (teacher, None, teacher),
        (teacher, baseline, baseline),
    ]


def test_comparison_agrees_with_the_accuracies(results):
    engine, teacher = results.of("engine-int8"), results.of("teacher-pytorch")
    difference = engine.accuracy.value - teacher.accuracy.value
    ratio = engine.accuracy.value / teacher.accuracy.value
    assert engine.to_teacher.difference.value == pytest.approx(difference)
    assert engine.to_teacher.retention.value == pytest.approx(ratio)
    assert summarize(results)["retention"] == engine.to_teacher.retention.value


def test_every_test_text_is_in_the_length_histogram(results):
    assert sum(results.lengths.counts) == results.split_sizes["test"]


def test_results_survive_the_disk(results, tmp_path):
    write_results(results, tmp_path)
    assert read_results(tmp_path) == results


def test_a_test_split_of_one_example_is_refused(tmp_path, tiny_data, copied, artifacts):
    data = copied(tiny_data)
    first = (data / "test.jsonl").read_text().split("\n")[0]
    (data / "test.jsonl").write_text(first + "\n")
    with pytest.raises(DataError, match="test split has 1 examples"):
        evaluate(
            out=tmp_path / "out",
            config=CONFIG,
            data=data,
            artifacts=artifacts,
            teacher="teacher-pytorch",
            baseline_onnx="teacher-onnx",
            engine="engine-int8",
        )


def test_scenarios_are_measured_of_every_artifact(tmp_path, tiny_data, artifacts):
    scenarios = ScenariosConfig(single_stream=SingleStreamConfig(seconds=0.1))
    evaluate(
        out=tmp_path,
        config=replace(CONFIG, latency_rounds=1, scenarios=scenarios),
        data=tiny_data,
        artifacts=artifacts[1:],  # PyTorch takes long to start
        teacher="teacher-onnx",
        baseline_onnx="teacher-onnx",
        engine="engine-int8",
    )
    found = read_results(tmp_path)
    for result in found.artifacts:
        assert [one.scenario for one in result.load] == ["single_stream"]
        assert (tmp_path / "load" / f"{result.artifact.name}-single_stream").is_dir()
    assert found.peaks.fp32_macs_per_s > 0
    assert {one.by for one in found.of("engine-int8").slices} == {"class", "tokens"}

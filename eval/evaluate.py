"""Stage: measure every artifact on the same test examples and the same machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import DataDescription, Examples, load_description, load_split
from pocketbert.compress.errors import DataError
from pocketbert.compress.texts import Text

from .accuracy import predict, truth_of
from .artifacts import Artifact, open_artifact
from .comparison import Comparer
from .config import EvaluateConfig, ScenariosConfig
from .environment import describe_environment, usable_cpus
from .floors import floors
from .footprint import footprint
from .latency import Measurement, choose_texts, measure_latency
from .load import measure_load
from .predictions import Predictions, write_predictions
from .reliability import calibration_error
from .results import (
    ArtifactResult,
    Latency,
    LengthHistogram,
    LoadResult,
    Results,
    write_results,
)
from .roofline import Floor, measure_peaks
from .slices import slices
from .token_lengths import token_lengths

LENGTH_BIN_TOKENS = 8


def evaluate(
    *,
    out: Path,
    config: EvaluateConfig,
    data: Path,
    artifacts: Sequence[Artifact],
    teacher: str,
    baseline_onnx: str,
    engine: str,
) -> dict[str, Any]:
    """Measure accuracy, agreement, latency, size and memory of every artifact.

    Writes `results.json`, `predictions/<name>.parquet`, `latency/<name>.npy` (ms, shape (rounds,
    texts)) and each process's log, and what LoadGen wrote in `load/<name>-<scenario>/`.

    Args:
        out: Folder of this stage.
        config: How much is measured.
        data: Folder of the data stage.
        artifacts: In the order of the pipeline; each is also compared with the one before it.
        teacher: Name of the artifact that runs the teacher in PyTorch.
        baseline_onnx: Name of the artifact that runs the teacher in ONNX Runtime in FP32.
        engine: Name of the artifact that ships.

    Returns:
        The headline numbers.

    Raises:
        DataError: If the test split is too small for an interval.
        UserError: If an artifact cannot be opened or its process dies.
    """
    description = load_description(data)
    test = load_split(data, "test")
    if len(test.texts) < 2:
        raise DataError(
            f"the test split has {len(test.texts)} examples, expected two or more; "
            "give data.test a larger fraction or another source"
        )
    truth = truth_of(test, description, Path(_named(artifacts, baseline_onnx).folder))
    predictions = _predictions(out / "predictions", test, truth, artifacts, description)
    timed = choose_texts(test.texts, config.latency_texts)
    measured = _latencies(out / "latency", artifacts, timed, description, config)
    peaks = measure_peaks(config.threads)
    p50_ms = {name: float(np.median(one.latencies_ms)) for name, one in measured.items()}
    seen = _Seen(
        predictions=predictions,
        measured=measured,
        floors=floors(artifacts, p50_ms, timed, description.max_length, peaks),
        load=_load(artifacts, timed, description, config, out / "load"),
    )
    results = Results(
        teacher=teacher,
        baseline_onnx=baseline_onnx,
        engine=engine,
        labels=description.labels,
        metric=predictions[teacher].measure.name,
        data_fingerprint=description.fingerprint,
        split_sizes=description.sizes,
        lengths=_histogram(predictions[baseline_onnx].tokens),
        confidence=config.confidence,
        resamples=config.resamples,
        latency_texts=len(timed),
        latency_rounds=config.latency_rounds,
        threads=config.threads,
        environment=describe_environment(),
        peaks=peaks,
        artifacts=_compared(artifacts, seen, truth, config, teacher, baseline_onnx),
    )
    write_results(results, out)
    return summarize(results)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What was measured of every artifact, by its name."""

    predictions: Mapping[str, Predictions]
    measured: Mapping[str, Measurement]
    floors: Mapping[str, Floor | None]
    load: Mapping[str, tuple[LoadResult, ...]]


def summarize(results: Results) -> dict[str, Any]:
    """The headline: what ships against the teacher."""
    teacher, engine = results.of(results.teacher), results.of(results.engine)
    assert engine.to_teacher is not None
    assert engine.to_baseline is not None
    kept = engine.to_teacher.retention
    return {
        "teacher_accuracy": teacher.accuracy.value,
        "engine_accuracy": engine.accuracy.value,
        "retention": kept.value,
        "retention_interval": [kept.low, kept.high],
        "p50_ratio_pytorch": engine.to_teacher.p50_ratio,
        "p50_ratio_onnxruntime": engine.to_baseline.p50_ratio,
        "size_ratio": teacher.footprint.weights_bytes / engine.footprint.weights_bytes,
    }


def _predictions(
    folder: Path,
    test: Examples,
    truth: NDArray[Any],
    artifacts: Sequence[Artifact],
    description: DataDescription,
) -> dict[str, Predictions]:
    found = {}
    for artifact in artifacts:
        # One at a time: an engine's memory is given back before the next is opened.
        engine = open_artifact(
            artifact,
            description.labels,
            description.max_length,
            len(usable_cpus()),
            description.kind,
            description.truncation,
        )
        found[artifact.name] = Predictions(
            artifact=artifact.name,
            engine=engine.describe(),
            kind=description.kind,
            labels=description.labels,
            texts=tuple(test.texts),
            truth=truth,
            tokens=token_lengths(Path(artifact.folder), test.texts, description.max_length),
            logits=predict(engine, test.texts, truth, artifact.title),
        )
        write_predictions(found[artifact.name], folder / f"{artifact.name}.parquet")
    return found


def _latencies(
    folder: Path,
    artifacts: Sequence[Artifact],
    texts: Sequence[Text],
    description: DataDescription,
    config: EvaluateConfig,
) -> dict[str, Measurement]:
    measured = measure_latency(
        artifacts,
        texts,
        description.labels,
        description.max_length,
        config,
        logs=folder,
        kind=description.kind,
        truncation=description.truncation,
    )
    for name, measurement in measured.items():
        _save(folder / f"{name}.npy", measurement.latencies_ms)
    return measured


def _compared(
    artifacts: Sequence[Artifact],
    seen: _Seen,
    truth: NDArray[Any],
    config: EvaluateConfig,
    teacher: str,
    baseline_onnx: str,
) -> tuple[ArtifactResult, ...]:
    """Put together what was seen of each artifact, beside the teacher and the one before it."""
    comparer = Comparer(
        {name: one.logits for name, one in seen.predictions.items()},
        truth,
        seen.predictions[teacher].measure,
        {name: one.latencies_ms for name, one in seen.measured.items()},
        config,
    )
    before = {later.name: earlier.name for earlier, later in pairwise(artifacts)}

    def result(artifact: Artifact) -> ArtifactResult:
        name = artifact.name
        predictions, measured = seen.predictions[name], seen.measured[name]
        to_teacher = comparer.compare(name, teacher)
        return ArtifactResult(
            artifact=artifact,
            engine=measured.engine,
            accuracy=comparer.accuracy(name),
            to_teacher=to_teacher,
            to_baseline=comparer.compare(name, baseline_onnx),
            to_previous=comparer.compare(name, before.get(name)),
            latency=_latency(measured),
            footprint=footprint(artifact),
            resident_bytes=measured.resident_bytes,
            peak_bytes=measured.peak_bytes,
            calibration_error=_calibration_error(predictions),
            slices=slices(predictions, config, seen.predictions[teacher] if to_teacher else None),
            floor=seen.floors[name],
            load=seen.load[name],
        )

    return tuple(result(artifact) for artifact in artifacts)


def _load(
    artifacts: Sequence[Artifact],
    texts: Sequence[Text],
    description: DataDescription,
    config: EvaluateConfig,
    out: Path,
) -> dict[str, tuple[LoadResult, ...]]:
    """Of each artifact what `evaluate.scenarios` asks for."""
    scenarios = config.scenarios or ScenariosConfig()
    about = (description.labels, description.max_length, scenarios, config.threads, out)
    return {
        artifact.name: measure_load(
            artifact, texts, *about, kind=description.kind, truncation=description.truncation
        )
        for artifact in artifacts
    }


def _calibration_error(predictions: Predictions) -> float | None:
    if not predictions.one_label:
        return None
    return calibration_error(predictions.probabilities, predictions.truth)


def _latency(measurement: Measurement) -> Latency:
    latencies_ms = measurement.latencies_ms
    p50_ms, p90_ms, p99_ms = np.percentile(latencies_ms, (50, 90, 99))
    return Latency(
        p50_ms=float(p50_ms),
        p50_by_round_ms=tuple(np.median(latencies_ms, axis=1).tolist()),
        p90_ms=float(p90_ms),
        p99_ms=float(p99_ms),
        mean_ms=float(latencies_ms.mean()),
        cold_start_ms=measurement.cold_start_ms,
        open_ms=measurement.open_ms,
        warm_up_passes=measurement.warm_up_passes,
        cpus=measurement.cpus,
    )


def _histogram(tokens: NDArray[np.int64]) -> LengthHistogram:
    return LengthHistogram(
        bin_width=LENGTH_BIN_TOKENS,
        counts=tuple(np.bincount((tokens - 1) // LENGTH_BIN_TOKENS).tolist()),
    )


def _save(path: Path, values: NDArray[Any]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    temporary.replace(path)


def _named(artifacts: Sequence[Artifact], name: str) -> Artifact:
    return next(artifact for artifact in artifacts if artifact.name == name)

"""Which layers INT8 harms, why, and what keeping them in float would give back.

Every layer is tried in two ways on validation texts: alone in INT8 (leave-one-in: what it harms by
itself) and alone in float (leave-one-out: what the engine gains without it in INT8).
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper
from pydantic import TypeAdapter

from pocketbert.compress.errors import UserError
from pocketbert.compress.progress import progress
from pocketbert.deploy.activation_ranges import activation_range
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.graph import initializers
from pocketbert.deploy.observed import Observed
from pocketbert.deploy.placement import quantized_layers

from ..int8_guard import Step, holds
from ..int8_trial import Trial
from ..intervals import Interval
from . import Finding

CONFIDENCE, RESAMPLES = 0.95, 1000
OUTLIER_RATIO = 8.0
ORDINARY_SHARE = 0.98  # one channel of 64 may be the odd one
SATURATED_SHARE = 1e-3
HARMLESS_AGREEMENT = 0.995
WEIGHT_ERROR = 0.02


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What INT8 does to one layer.

    Attributes:
        operators: Its operators, which read one tensor.
        alone_divergence: Divergence from the float model's answers (nats, where they are classes),
            with this layer alone in INT8.
        alone_agreement: Share of texts that then get the float model's answer.
        without_gain: The metric with this layer alone in float minus that with all in INT8.
        outlier_ratio: Largest activation over the 98th percentile of their magnitudes; 0 where
            nothing was calibrated.
        saturated_share: Share of the activations that the steps do not cover.
        step_ratio: A step over the root mean square of the activations.
        weight_error: Root mean square error of the weights over their root mean square.
    """

    operators: tuple[str, ...]
    alone_divergence: float
    alone_agreement: float
    without_gain: Interval
    outlier_ratio: float
    saturated_share: float
    step_ratio: float
    weight_error: float


@dataclass(frozen=True, kw_only=True)
class AccuracyReport:
    """What INT8 costs a run, layer by layer.

    Attributes:
        metric: Name of the task's metric, which every `accuracy` here is.
        texts: Validation texts it was measured on.
        float_accuracy: Of the float model on them.
        int8_accuracy: With all layers in INT8.
        int8_agreement: Share of the float model's answers, with all layers in INT8.
        lost: The float model's metric minus that in INT8.
        layers: The most harmed first.
        suggested: Layers to keep in float; none where INT8 costs no more than the gate allows.
        suggested_accuracy: With these in float.
        suggested_agreement: Likewise.
        suggested_gain: The metric with these in float minus that with all in INT8.
        p50_ratio_to_int8: Latency with these in float over that with all in INT8; 1 without any.
        findings: Causes.
    """

    metric: str
    texts: int
    float_accuracy: float
    int8_accuracy: float
    int8_agreement: float
    lost: Interval
    layers: tuple[Layer, ...]
    suggested: tuple[tuple[str, ...], ...]
    suggested_accuracy: float
    suggested_agreement: float
    suggested_gain: Interval
    p50_ratio_to_int8: float
    findings: tuple[Finding, ...]


def examine_accuracy(run: Path, guard: GuardConfig | None = None) -> AccuracyReport:
    """Try the layers of a run's INT8 engine in float and in INT8.

    Args:
        run: Folder of the results of a run, its cache beside it.
        guard: What the suggestion has to reach, and on how many texts layers are tried.

    Raises:
        UserError: The folder is no run, or the run did not quantize.
    """
    guard = guard or GuardConfig(min_agreement=0.99)
    with tempfile.TemporaryDirectory() as scratch:
        return _examine(_trial(run, Path(scratch)), guard)


def _examine(trial: Trial, guard: GuardConfig) -> AccuracyReport:
    count, measure = len(trial.examples.texts), trial.measure
    int8 = trial.logits(frozenset(), count)
    layers = _layers(trial, guard.texts)
    suggested, accuracy, agreement = _suggestion(trial, guard, layers)
    in_float = {name for operators in suggested for name in operators}
    kept = trial.logits(in_float, count) if suggested else int8
    return AccuracyReport(
        metric=measure.name,
        texts=count,
        float_accuracy=trial.accuracy(trial.float_logits),
        int8_accuracy=trial.accuracy(int8),
        int8_agreement=float(measure.same(int8, trial.float_logits).mean()),
        lost=_difference(trial, trial.float_logits, int8),
        layers=tuple(layers),
        suggested=tuple(suggested),
        suggested_accuracy=accuracy,
        suggested_agreement=agreement,
        suggested_gain=_difference(trial, kept, int8),
        p50_ratio_to_int8=trial.p50_ratios(in_float)[0] if suggested else 1.0,
        findings=tuple(
            finding
            for layer in layers
            if layer.alone_agreement < HARMLESS_AGREEMENT
            for cause in CAUSES
            for finding in cause(layer, trial.config)
        ),
    )


def outliers(layer: Layer, config: QuantizeConfig) -> Iterator[Finding]:
    """A few large activations stretch the steps for all the others."""
    if layer.outlier_ratio > OUTLIER_RATIO:
        smooth = "quantize.method: smoothquant moves outliers into the weights"
        clip = "quantize.calibration: mse cuts them off"
        guard = "quantize.guard keeps the layer in float"
        ways = [smooth] if config.method != "smoothquant" else [guard]
        ways += [clip] if config.calibration == "minmax" else []
        yield Finding(
            kind="outliers",
            subject=layer.operators[0],
            found=f"the largest activation is {layer.outlier_ratio:.1f} times the 98th "
            f"percentile, so that a step is {layer.step_ratio:.2f} of their root mean square",
            remedy=", or ".join(ways),
            figures={"outlier_ratio": layer.outlier_ratio, "step_ratio": layer.step_ratio},
        )


def saturation(layer: Layer, config: QuantizeConfig) -> Iterator[Finding]:
    """Activations beyond the range that the steps cover."""
    if layer.saturated_share > SATURATED_SHARE and config.calibration != "minmax":
        yield Finding(
            kind="saturation",
            subject=layer.operators[0],
            found=f"{layer.saturated_share:.2%} of the activations lie beyond the covered range",
            remedy="quantize.calibration: minmax covers all that was seen",
            figures={"saturated_share": layer.saturated_share},
        )


def weight_error(layer: Layer, config: QuantizeConfig) -> Iterator[Finding]:
    """Weights that 8 bits a channel do not hold well."""
    del config
    if layer.weight_error > WEIGHT_ERROR:
        yield Finding(
            kind="weight_error",
            subject=layer.operators[0],
            found=f"rounding its weights costs {layer.weight_error:.1%} of their root mean square",
            remedy="a section qat trains the weights for their steps; or quantize.guard keeps the "
            "layer in float",
            figures={"weight_error": layer.weight_error},
        )


# One row a cause; looked for in layers that move answers when they alone are in INT8.
CAUSES: tuple[Callable[[Layer, QuantizeConfig], Iterator[Finding]], ...] = (
    outliers,
    saturation,
    weight_error,
)


def _suggestion(
    trial: Trial, guard: GuardConfig, layers: Sequence[Layer]
) -> tuple[list[tuple[str, ...]], float, float]:
    """Put layers in float, the most harmed first, until the gate holds or none is left."""
    float_accuracy = trial.accuracy(trial.float_logits)
    suggested: list[tuple[str, ...]] = []
    while True:
        in_float = {name for operators in suggested for name in operators}
        accuracy, agreement = trial.accuracy_and_agreement(in_float)
        step = Step(accuracy=accuracy, agreement=agreement)
        if holds(guard, float_accuracy, step) or len(suggested) == len(layers):
            return suggested, accuracy, agreement
        suggested.append(layers[len(suggested)].operators)


def _layers(trial: Trial, texts: int) -> list[Layer]:
    """Try every layer; the most harmed first."""
    operators = quantized_layers(trial.model, trial.config)
    everything = {name for layer in operators for name in layer}
    float_logits = trial.float_logits[:texts]
    all_int8 = trial.logits(frozenset(), texts)
    layers = []
    with progress("Layers in and out of INT8", total=len(operators), unit="layer") as bar:
        for layer in operators:
            alone = trial.logits(everything - set(layer), texts)
            layers.append(
                Layer(
                    operators=layer,
                    alone_divergence=trial.measure.divergence(alone, float_logits),
                    alone_agreement=float(trial.measure.same(alone, float_logits).mean()),
                    without_gain=_difference(trial, trial.logits(set(layer), texts), all_int8),
                    weight_error=_weight_error(trial, layer),
                    **_activation(trial, layer),
                )
            )
            bar.advance()
    return sorted(layers, key=lambda one: -one.alone_divergence)


def _activation(trial: Trial, operators: tuple[str, ...]) -> dict[str, float]:
    """How well the steps fit what the layer reads, by what calibration saw."""
    read = next(node.input[0] for node in trial.model.graph.node if node.name == operators[0])
    seen = trial.table.tensors.get(read) if trial.table else None
    if seen is None or not seen.counts.sum():
        return {"outlier_ratio": 0.0, "saturated_share": 0.0, "step_ratio": 0.0}
    low, high = activation_range(seen, trial.config.calibration, symmetric=False)
    centres = (seen.edges[:-1] + seen.edges[1:]) / 2
    total = seen.counts.sum()
    beyond = seen.counts[(seen.edges[:-1] > high) | (seen.edges[1:] < low)].sum()
    root_mean_square = float(np.sqrt((centres.astype(np.float64) ** 2 * seen.counts).sum() / total))
    return {
        "outlier_ratio": max(-seen.lowest, seen.highest) / _magnitude(seen, ORDINARY_SHARE),
        "saturated_share": float(beyond / total),
        "step_ratio": (high - low) / 255 / max(root_mean_square, 1e-30),
    }


def _magnitude(seen: Observed, share: float) -> float:
    """The magnitude below which a share of the values lies, to the next bin above."""
    ends = np.maximum(np.abs(seen.edges[:-1]), np.abs(seen.edges[1:]))
    order = np.argsort(ends)
    reached = np.cumsum(seen.counts[order]) / seen.counts.sum()
    return float(ends[order][np.searchsorted(reached, share)])


def _weight_error(trial: Trial, operators: tuple[str, ...]) -> float:
    """Rounding error of a layer's weights with one symmetric scale a channel."""
    stored = initializers(trial.model)
    errors, squares = 0.0, 0.0
    for node in trial.model.graph.node:
        if node.name not in operators or node.input[1] not in stored:
            continue
        weight = numpy_helper.to_array(stored[node.input[1]]).astype(np.float64)
        scale = np.abs(weight).max(axis=0, keepdims=True) / 127
        rounded = np.rint(weight / np.where(scale > 0, scale, 1)) * scale
        errors += float(((rounded - weight) ** 2).sum())
        squares += float((weight**2).sum())
    return float(np.sqrt(errors / squares)) if squares else 0.0


def _difference(trial: Trial, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Interval:
    """The metric on our logits minus that on theirs, of the first validation texts."""
    truth = trial.truth[: len(ours)]
    our, their = (trial.measure.statistics(logits, truth) for logits in (ours, theirs))
    return trial.measure.difference(our, their, CONFIDENCE, RESAMPLES)


def _trial(run: Path, scratch: Path) -> Trial:
    """Find in the cache what a run's engine was quantized from."""
    stages = stages_of_run(run)
    name = next((each for each in ("guard-int8", "quantize") if each in stages), None)
    if name is None:
        raise UserError(f"{run} has no quantize stage, expected a run with a section quantize")
    cache = stages[name].parent
    params = json.loads((stages[name] / "stage.json").read_text(encoding="utf-8"))["params"]
    config = TypeAdapter(QuantizeConfig).validate_json(json.dumps(params["config"]))
    return Trial(
        scratch,
        config,
        stages["data"],
        cache / params["exported"],
        cache / params["calibrated"] if params["calibrated"] else None,
    )


def stages_of_run(run: Path) -> dict[str, Path]:
    """Folders of a run's stages, by name."""
    marker = run / "run.json"
    if not marker.is_file():
        raise UserError(f"{run} has no run.json, expected the folder of a run's results")
    fingerprints = json.loads(marker.read_text(encoding="utf-8")).get("stages", {})
    folders = {
        name: run.resolve().parent / "stages" / f"{name}-{fingerprint[:12]}"
        for name, fingerprint in fingerprints.items()
    }
    for name, folder in folders.items():
        if name in ("data", "quantize") and not folder.is_dir():
            raise UserError(f"{folder} is gone, expected the run's cache; run the recipe again")
    return folders

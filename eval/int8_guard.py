"""Stage: layers that INT8 harms go back to float, the most harmed first, until a gate holds.

Engines are tried as this machine would run them, on the validation split, so that the test split
decides nothing.
"""

import json
import logging
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketbert.compress.progress import progress
from pocketbert.deploy.config import GuardConfig, QuantizeConfig
from pocketbert.deploy.placement import quantized_layers
from pocketbert.deploy.quantize import write_quantized

from .int8_trial import Trial

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A layer that went back to float, and the engine from then on.

    Attributes:
        operators: Its operators, which read one quantized tensor; empty before any layer went.
        harm: KL divergence of the answers to the float model's, in nats, with this layer alone in
            INT8.
        accuracy: On the validation split.
        agreement: Share of those texts that get the float model's label.
    """

    operators: tuple[str, ...] = ()
    harm: float = 0.0
    accuracy: float
    agreement: float


def guard_int8(
    *,
    out: Path,
    config: QuantizeConfig,
    data: Path,
    exported: Path,
    calibrated: Path | None,
    quantized: Path,
) -> dict[str, Any]:
    """Write the quantized model with as few layers in float as the gate allows.

    Args:
        out: Gets what the quantize stage writes, and `guard.json`, which is what is returned.
        config: Method and placement, and the gate in `guard`.
        data: Folder of the data stage.
        exported: Folder of the export stage (of the smooth stage with `smoothquant`).
        calibrated: Folder of the calibrate stage, for methods that need one.
        quantized: Folder of the quantize stage, taken over where the gate holds at once.

    Returns:
        `float_accuracy`; `steps`, the first with all in INT8, the last as it is written; `holds`,
        whether the gate does; of `layers` how many went (`returned`); and, where some did, median
        latency over that of all in INT8 and of the float model (`p50_ratio_to_int8`, `..._float`).
    """
    assert config.guard is not None
    with tempfile.TemporaryDirectory(dir=out, prefix=".guard-") as scratch:
        trial = Trial(Path(scratch), config, data, exported, calibrated)
        float_accuracy = trial.accuracy(trial.float_logits)
        steps = _return_layers(trial, config.guard, float_accuracy)
        in_float = {name for step in steps for name in step.operators}
        found: dict[str, Any] = {
            "float_accuracy": float_accuracy,
            "steps": [asdict(step) for step in steps],
            "holds": holds(config.guard, float_accuracy, steps[-1]),
            "layers": len(quantized_layers(trial.model, config)),
            "returned": len(steps) - 1,
        }
        if in_float:
            write_quantized(out, trial.model, trial.table, config, in_float)
            to_int8, to_float = trial.p50_ratios(in_float)
            found |= {"p50_ratio_to_int8": to_int8, "p50_ratio_to_float": to_float}
        else:
            for name in ("model.onnx", "calibration.json"):
                shutil.copyfile(quantized / name, out / name)
    (out / "guard.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def _return_layers(trial: Trial, guard: GuardConfig, float_accuracy: float) -> list[Step]:
    """Return layers one by one until the gate holds or none is left."""
    accuracy, agreement = trial.accuracy_and_agreement(frozenset())
    steps = [Step(accuracy=accuracy, agreement=agreement)]
    if holds(guard, float_accuracy, steps[0]):
        return steps
    in_float: set[str] = set()
    for operators, harm in _harms(trial, guard.texts):
        in_float.update(operators)
        accuracy, agreement = trial.accuracy_and_agreement(in_float)
        steps.append(Step(operators=operators, harm=harm, accuracy=accuracy, agreement=agreement))
        logger.info("%s in float: accuracy %.4f, agreement %.4f", operators, accuracy, agreement)
        if holds(guard, float_accuracy, steps[-1]):
            break
    return steps


def _harms(trial: Trial, texts: int) -> list[tuple[tuple[str, ...], float]]:
    """Measure each layer's harm; the most harmed first.

    All others are in float meanwhile: with one left out instead, two layers that each spoil the
    answers would hide behind one another.
    """
    layers = quantized_layers(trial.model, trial.config)
    everything = {name for operators in layers for name in operators}
    harms = []
    with progress("Harm of INT8", total=len(layers), unit="layer") as bar:
        for operators in layers:
            harms.append((operators, trial.divergence(everything - set(operators), texts)))
            bar.advance()
    return sorted(harms, key=lambda one: -one[1])


def holds(guard: GuardConfig, float_accuracy: float, step: Step) -> bool:
    """Whether an engine loses no more than the gate allows."""
    agrees = guard.min_agreement is None or step.agreement >= guard.min_agreement
    # Accuracies are quotients: without the slack a drop of exactly the limit may miss it.
    return agrees and float_accuracy - step.accuracy <= guard.max_drop + 1e-9

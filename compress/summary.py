"""What a training stage says it changed."""

from typing import Any

from scipy.stats import binomtest
from torch import nn

from .training import FitResult


def summarize(model: nn.Module, result: FitResult, validation_size: int) -> dict[str, Any]:
    """Return parameters, bytes, steps, and the metric on the validation split.

    Accuracy comes with its 95 % Wilson interval.
    After learning from a teacher also the agreement with it and the KL divergence to it; without
    labels the validation loss alone.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    trained = {
        "parameters": parameters,
        "bytes": 4 * parameters,
        "steps": result.steps,
        "epochs": round(result.epochs, 3),
        "precision": result.precision,
    }
    if result.best_score is None:
        return trained | {"validation_loss": result.best_loss}
    score: dict[str, Any] = {f"validation_{result.metric}": result.best_score}
    if result.metric == "accuracy":
        hits = round(result.best_score * validation_size)
        interval = binomtest(hits, validation_size).proportion_ci(0.95, method="wilson")
        score["validation_interval"] = [float(interval.low), float(interval.high)]
    fidelity = {
        "teacher_agreement": result.teacher_agreement,
        "teacher_kl": result.teacher_kl,
    }
    return trained | score | {n: value for n, value in fidelity.items() if value is not None}

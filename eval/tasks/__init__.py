"""How good answers are: a small class per kind of task, listed in MEASURES."""

from .measure import Measure
from .text_classification import Accuracy

# Kind of task -> its metric, given what the logits are called.
MEASURES: dict[str, type[Measure]] = {
    "text-classification": Accuracy,
}

__all__ = ["MEASURES", "Measure"]

"""From a model's logits to typed answers: a small class per kind of task, listed in TASKS."""

from .task import Task
from .text_classification import TextClassification

# Kind of task -> what reads its logits; it runs on devices, so nothing here needs torch.
TASKS: dict[str, type[Task]] = {
    "text-classification": TextClassification,
}

__all__ = ["TASKS", "Task"]

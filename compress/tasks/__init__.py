"""How the full model learns a task: a file with `fine_tune` per kind, listed in TASKS."""

from collections.abc import Callable
from typing import Any

from . import masked_language_model, text_classification

# Kind of task -> what fine-tunes a checkpoint for it; the arguments are the teacher stage's.
TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "text-classification": text_classification.fine_tune,
    "masked-language-model": masked_language_model.fine_tune,
}

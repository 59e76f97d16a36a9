"""From a model's logits to typed answers: a small class per kind of task, listed in TASKS."""

from .embeddings import Embeddings
from .multi_label import MultiLabelClassification
from .question_answering import QuestionAnswering
from .task import Task
from .text_classification import TextClassification
from .text_regression import TextRegression
from .token_classification import TokenClassification
from .translation import Translations

# Kind of task -> what reads its logits; it runs on devices, so nothing here needs torch.
TASKS: dict[str, type[Task]] = {
    "text-classification": TextClassification,
    "text-regression": TextRegression,
    "multi-label-classification": MultiLabelClassification,
    "token-classification": TokenClassification,
    "sentence-similarity": Embeddings,
    "text-retrieval": Embeddings,
    "question-answering": QuestionAnswering,
    "translation": Translations,
}

__all__ = ["TASKS", "Task"]

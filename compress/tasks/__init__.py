"""How models learn a task: a small class per kind, listed in TASKS."""

from .embeddings import SentenceSimilarity, TextRetrieval
from .masked_language_model import MaskedLanguageModel
from .multi_label import MultiLabelClassification
from .question_answering import QuestionAnswering
from .task import SupervisedTask, Task
from .text_classification import TextClassification
from .text_regression import TextRegression
from .token_classification import TokenClassification
from .translation import Translation

TEXT_CLASSIFICATION = TextClassification()

# Kind of task -> how it is learned.
TASKS: dict[str, Task] = {
    "text-classification": TEXT_CLASSIFICATION,
    "text-regression": TextRegression(),
    "multi-label-classification": MultiLabelClassification(),
    "token-classification": TokenClassification(),
    "sentence-similarity": SentenceSimilarity(),
    "text-retrieval": TextRetrieval(),
    "question-answering": QuestionAnswering(),
    "translation": Translation(),
    "masked-language-model": MaskedLanguageModel(),
}


def supervised(kind: str) -> SupervisedTask:
    """Return a kind of task that a student can learn from a teacher's logits."""
    task = TASKS[kind]
    assert isinstance(task, SupervisedTask)
    return task

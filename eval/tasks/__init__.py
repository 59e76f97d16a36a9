"""How good answers are: a small class per kind of task, listed in MEASURES."""

from .embeddings import Recall, Spearman
from .measure import Measure
from .multi_label import MicroF1
from .question_answering import AnswerF1
from .text_classification import Accuracy
from .text_regression import Pearson
from .token_classification import EntityF1
from .translation import Bleu

# Kind of task -> its metric, given what the logits are called.
MEASURES: dict[str, type[Measure]] = {
    "text-classification": Accuracy,
    "text-regression": Pearson,
    "multi-label-classification": MicroF1,
    "token-classification": EntityF1,
    "sentence-similarity": Spearman,
    "text-retrieval": Recall,
    "question-answering": AnswerF1,
    "translation": Bleu,
}

__all__ = ["MEASURES", "Measure"]

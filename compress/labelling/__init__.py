"""What a label is and how a table says it: a small class per form, listed in LABELLINGS."""

from .answers import Answers
from .compared_texts import MatchingTexts, SimilarTexts
from .labelling import UNLABELLED, Example, Labelling
from .many_labels import ManyLabels
from .no_label import NoLabel
from .number import Number
from .one_label import OneLabel
from .spans import Spans
from .translations import Translations

# Kind of task -> how its labels are read; nothing here needs torch.
LABELLINGS: dict[str, Labelling] = {
    "text-classification": OneLabel(),
    "text-regression": Number(),
    "multi-label-classification": ManyLabels(),
    "token-classification": Spans(),
    "sentence-similarity": SimilarTexts(),
    "text-retrieval": MatchingTexts(),
    "question-answering": Answers(),
    "translation": Translations(),
    "masked-language-model": NoLabel(),
}

__all__ = ["LABELLINGS", "UNLABELLED", "Example", "Labelling"]

"""What a label is and how a table says it: a small class per form, listed in LABELLINGS."""

from .labelling import Labelling
from .no_label import UNLABELLED, NoLabel
from .one_label import OneLabel

# Kind of task -> how its labels are read; nothing here needs torch.
LABELLINGS: dict[str, Labelling] = {
    "text-classification": OneLabel(),
    "masked-language-model": NoLabel(),
}

__all__ = ["LABELLINGS", "UNLABELLED", "Labelling"]

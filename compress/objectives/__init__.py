"""What a student learns from: a small class per objective, listed in OBJECTIVES."""

from .attention import AttentionMaps
from .hidden import Embeddings, HiddenStates, Patient
from .masked_tokens import MaskedTokens
from .objective import Objective
from .predictions import Labels, Logits, SoftTargets
from .relations import Relations
from .vectors import Cosine, Similarities

# Field of ObjectivesConfig -> class made of (its config, student, teacher outputs).
OBJECTIVES: dict[str, type[Objective]] = {
    "soft_targets": SoftTargets,
    "logits": Logits,
    "cosine": Cosine,
    "similarities": Similarities,
    "hidden": HiddenStates,
    "patient": Patient,
    "embeddings": Embeddings,
    "attention": AttentionMaps,
    "relations": Relations,
    "masked_tokens": MaskedTokens,
    "labels": Labels,
}

"""WordPiece's vocabulary in a tokenizer.json.

WordPiece takes the longest token that fits (Wu et al. 2016). With fewer tokens to choose from, a
word whose tokens were all kept is therefore cut as before.
"""

from collections.abc import Mapping
from typing import Any


def numbers(model: dict[str, Any]) -> dict[str, int]:
    """Return the number of each token."""
    return dict(model["vocab"])


def always_kept(model: dict[str, Any]) -> set[int]:
    """Return the unknown token and all single characters."""
    prefix = model["continuing_subword_prefix"]
    vocabulary: dict[str, int] = model["vocab"]
    single = {n for token, n in vocabulary.items() if len(token.removeprefix(prefix)) == 1}
    return {vocabulary[model["unk_token"]], *single}


def keep(model: dict[str, Any], new: Mapping[int, int]) -> None:
    """Take out of the model what has no new number."""
    model["vocab"] = {token: new[n] for token, n in model["vocab"].items() if n in new}

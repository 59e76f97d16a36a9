"""Unigram's vocabulary in a tokenizer.json, with its scores.

Unigram takes, of all ways to cut a word, the one with the highest sum of scores (Kudo 2018), and of
equally good ones that with the longest last piece, from the end to the start. A word whose pieces
were all kept is cut as before, because the way it was cut is still there with the same sum, and
removing pieces can only take ways away from the others. Two things could add a way, or make one
better, and so change words whose pieces were kept; both are ruled out:

- A character without a piece of its own may stand as unknown. Single characters always stay, so
  that no character becomes one.
- An unknown character's score hangs on the lowest score of all. A piece that has it stays.

Pieces that stand for bytes, where unknown characters are written in them, stay too.
"""

import re
from collections.abc import Mapping
from typing import Any

BYTE = re.compile("<0x[0-9A-F]{2}>")


def numbers(model: dict[str, Any]) -> dict[str, int]:
    """Return the number of each piece; of two equal ones the last counts."""
    return {piece: number for number, (piece, _) in enumerate(model["vocab"])}


def always_kept(model: dict[str, Any]) -> set[int]:
    """Return the unknown token, single characters, bytes and the piece with the lowest score."""
    scores = [score for _, score in model["vocab"]]
    kept = {scores.index(min(scores))}
    if model["unk_id"] is not None:
        kept.add(model["unk_id"])
    for number, (piece, _) in enumerate(model["vocab"]):
        if len(piece) == 1 or (model.get("byte_fallback") and BYTE.fullmatch(piece)):
            kept.add(number)
    return kept


def keep(model: dict[str, Any], new: Mapping[int, int]) -> None:
    """Take out of the model what has no new number."""
    model["vocab"] = [entry for number, entry in enumerate(model["vocab"]) if number in new]
    if model["unk_id"] is not None:
        model["unk_id"] = new[model["unk_id"]]

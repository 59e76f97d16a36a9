"""How a text is written token by token: what stands beside a model that does so."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

GENERATION = "generation.json"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How far is written, and how many beginnings are followed.

    Attributes:
        max_tokens: Tokens of the longest answer, its end included.
        beams: Beginnings that are followed at once; 1 takes the likeliest token every time.
    """

    max_tokens: int
    beams: int = 1


def write_generation(generation: Generation, folder: Path) -> None:
    """Write `generation.json`."""
    (folder / GENERATION).write_text(json.dumps(asdict(generation)) + "\n")


def read_generation(folder: Path) -> Generation:
    """Read what `write_generation` wrote."""
    return Generation(**json.loads((folder / GENERATION).read_text()))

"""How a text is written token by token: what stands beside a model that does so."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from .config import STRICT
from .errors import BundleError

GENERATION = "generation.json"
MOST_TOKENS = 8192  # that may be asked for, as of the longest input


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How far is written, and how many beginnings are followed.

    Attributes:
        max_tokens: Tokens of the longest answer, its end included.
        beams: Beginnings that are followed at once; 1 takes the likeliest token every time.
    """

    __pydantic_config__ = STRICT
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)]
    beams: Annotated[int, Field(ge=1)] = 1


def write_generation(generation: Generation, folder: Path) -> None:
    """Write `generation.json`."""
    (folder / GENERATION).write_text(json.dumps(asdict(generation)) + "\n")


def read_generation(folder: Path) -> Generation:
    """Read what `write_generation` wrote.

    Raises:
        BundleError: There is none, or one that says other things.
    """
    path = folder / GENERATION
    try:
        return TypeAdapter(Generation).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise BundleError(
            f"{path} does not load ({reason}), expected max_tokens and beams; build the bundle "
            "again"
        ) from error

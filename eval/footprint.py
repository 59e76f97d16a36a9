"""How much room an artifact takes on disk and how many parameters it has."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from pocketbert.compress.errors import ModelError

from .artifacts import Artifact, weights_bytes


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Size of an artifact.

    Attributes:
        weights_bytes: The file with the weights.
        total_bytes: Everything in its folder, tokenizer included.
        parameters: Numbers in the weights of the model that it was made from, if known.
    """

    weights_bytes: int
    total_bytes: int
    parameters: int | None


def footprint(artifact: Artifact) -> Footprint:
    """Measure an artifact on disk.

    Raises:
        ModelError: If the safetensors file that it was made from is broken.
    """
    model = Path(artifact.model_folder) if artifact.model_folder else None
    files = (path for path in Path(artifact.folder).rglob("*") if path.is_file())
    return Footprint(
        weights_bytes=weights_bytes(artifact),
        total_bytes=sum(path.stat().st_size for path in files),
        parameters=count_parameters(model / "model.safetensors") if model else None,
    )


def count_parameters(path: Path) -> int:
    """Count the numbers in a safetensors file from its header, without reading a tensor.

    The header is a little-endian 64-bit length followed by that much JSON.

    Raises:
        ModelError: If the header cannot be read.
    """
    with path.open("rb") as file:
        try:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            if header_bytes > path.stat().st_size:
                raise ValueError(f"a header of {header_bytes} bytes")
            header = json.loads(file.read(header_bytes))
        except (struct.error, ValueError) as error:
            raise ModelError(
                f"{path} has no readable safetensors header ({error}), expected model weights; "
                "make the model folder again"
            ) from error
    return sum(
        math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
    )

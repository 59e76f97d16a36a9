"""The calibration table: a file of what was seen, bound to the graph it was seen in."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketbert.compress.errors import ModelError

from .bundle import hash_file
from .observed import BINS, Observed

CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class CalibrationTable:
    """What was seen of every activation that any placement may quantize.

    It holds no ranges: every method reads its own from the histograms, for every target.

    Attributes:
        graph_sha256: Hash of the exported `model.onnx`.
        texts: How many texts were seen.
        tensors: By name.
    """

    graph_sha256: str
    texts: int
    tensors: dict[str, Observed]


def write_table(table: CalibrationTable, path: Path) -> None:
    """Write a table under a temporary name, then under its own."""
    content = {
        "graph_sha256": table.graph_sha256,
        "texts": table.texts,
        "tensors": {name: _described(seen) for name, seen in table.tensors.items()},
    }
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"sha256": _digest(content), **content}) + "\n")
    unfinished.replace(path)


def read_table(path: Path, graph: Path) -> CalibrationTable:
    """Read a table that was made for a graph.

    Args:
        path: The table.
        graph: The exported `model.onnx` that is to be quantized.

    Raises:
        ModelError: The file is no calibration table, was changed, or belongs to another graph.
    """
    content = _read(path)
    found = content.pop("sha256")
    if found != _digest(content):
        raise ModelError(
            f"{path} does not have the hash that it states, expected an unchanged calibration "
            "table; copy it again or calibrate anew"
        )
    expected = hash_file(graph)
    if content["graph_sha256"] != expected:
        raise ModelError(
            f"{path} belongs to the graph {content['graph_sha256'][:12]}, expected a calibration "
            f"table of {expected[:12]}, the exported model; calibrate this one "
            "(quantize.calibration_table: null)"
        )
    tensors = {name: _observed(seen) for name, seen in content["tensors"].items()}
    return CalibrationTable(content["graph_sha256"], content["texts"], tensors)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror}), expected the calibration.json of a "
            "calibrate stage; correct quantize.calibration_table"
        ) from error
    except ValueError:
        content = None
    keys = {"sha256", "graph_sha256", "texts", "tensors"}
    if not isinstance(content, dict) or content.keys() != keys:
        raise ModelError(
            f"{path} is no calibration table, expected the calibration.json of a calibrate stage "
            f"with the keys {', '.join(sorted(keys))}; correct quantize.calibration_table"
        )
    return content


def _described(seen: Observed) -> dict[str, Any]:
    """Most bins are empty at both ends, and are left out."""
    used = np.flatnonzero(seen.counts)
    first, last = int(used[0]), int(used[-1])
    return {
        "lowest": seen.lowest,
        "highest": seen.highest,
        "limit": seen.limit,
        "first_bin": first,
        "counts": seen.counts[first : last + 1].tolist(),
    }


def _observed(described: dict[str, Any]) -> Observed:
    counts = np.zeros(BINS, dtype=np.int64)
    first = described["first_bin"]
    counts[first : first + len(described["counts"])] = described["counts"]
    return Observed(described["lowest"], described["highest"], described["limit"], counts)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

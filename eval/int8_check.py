"""Stage: what INT8 without any training for it costs, on the validation split."""

import json
from pathlib import Path
from typing import Any

from pocketbert.compress.data import load_description, load_split

from .accuracy import predict
from .artifacts import Artifact, open_artifact
from .tasks import MEASURES


def check_int8(*, out: Path, data: Path, exported: Path, compiled: Path) -> dict[str, Any]:
    """Compare the INT8 engine with the float model that it was made of.

    Args:
        out: Gets `int8_check.json`, which is what is returned.
        data: Folder of the data stage.
        exported: Folder of the export stage.
        compiled: Folder of the compile stage.

    Returns:
        `float_accuracy`, `int8_accuracy`, and `int8_kept`, their ratio.
    """
    floating = _accuracy("onnx", exported, "Float, validation", data)
    int8 = _accuracy("bundle", compiled / "bundle", "INT8, validation", data)
    # A float model that is never right has nothing to lose.
    kept = int8 / floating if floating else 1.0
    found = {"float_accuracy": floating, "int8_accuracy": int8, "int8_kept": kept}
    (out / "int8_check.json").write_text(json.dumps(found) + "\n")
    return found


def _accuracy(kind: Any, folder: Path, title: str, data: Path) -> float:
    description, examples = load_description(data), load_split(data, "validation")
    artifact = Artifact(name=kind, title=title, kind=kind, folder=str(folder))
    engine = open_artifact(
        artifact,
        description.labels,
        description.max_length,
        1,
        description.kind,
        description.truncation,
    )
    logits = predict(engine, examples.texts, examples.labels, title)
    return MEASURES[engine.kind](engine.labels).value(logits, examples.labels)

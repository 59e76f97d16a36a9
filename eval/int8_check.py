"""Stage: what INT8 without any training for it costs, on the validation split."""

import json
from pathlib import Path
from typing import Any, Literal

from pocketbert.compress.data import load_description, load_split

from .accuracy import predict, truth_of
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
    description, examples = load_description(data), load_split(data, "validation")
    truth = truth_of(examples, description, exported)
    measure = MEASURES[description.kind](description.labels)

    def judged(kind: Literal["onnx", "bundle"], folder: Path, title: str) -> float:
        artifact = Artifact(name=kind, title=title, kind=kind, folder=str(folder))
        engine = open_artifact(
            artifact,
            description.labels,
            description.max_length,
            1,
            description.kind,
            description.truncation,
        )
        return measure.value(predict(engine, examples.texts, truth, title), truth)

    floating = judged("onnx", exported, "Float, validation")
    int8 = judged("bundle", compiled / "bundle", "INT8, validation")
    # A float model that is never right has nothing to lose.
    kept = int8 / floating if floating else 1.0
    found = {"float_accuracy": floating, "int8_accuracy": int8, "int8_kept": kept}
    (out / "int8_check.json").write_text(json.dumps(found) + "\n")
    return found

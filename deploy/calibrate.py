"""The calibrate stage: what every activation that may be quantized looks like on training texts."""

from pathlib import Path
from typing import Any

from pocketbert.compress.errors import ModelError

from .activations import activations, load_float_model, sample_texts
from .bundle import hash_file
from .calibration_table import CalibrationTable, read_table, write_table
from .graph_files import MODEL, calibration_of, graphs_of
from .observed import Observed
from .placement import places


def calibrate(
    *, out: Path, examples: int, data: Path, exported: Path, table: str | None = None
) -> dict[str, Any]:
    """Watch the float model on training texts, or take over a table made elsewhere.

    The table covers every placement, every method of choosing ranges and every target, so that
    none of these needs a calibration of its own.

    Args:
        out: Gets `calibration.json`, the table, and that of a decoder where there is one.
        examples: Training texts, at their real lengths.
        data: Folder of the data stage.
        exported: Folder of the export stage.
        table: File of a table of this very graph that was made before, on any machine.

    Returns:
        `tensors`, `texts`, and the table's `bytes`.

    Raises:
        DataError: There are no training texts.
        ModelError: A range is not finite, the tokenizer is not the model's, the model is quantized
            already, or the table belongs to another graph.
    """
    said = {"tensors": 0, "texts": 0, "bytes": 0}
    for graph in graphs_of(exported):
        seen = (
            observe(data, exported, examples, graph)
            if table is None
            else _given(Path(table), exported)
        )
        path = out / calibration_of(graph)
        write_table(seen, path)
        said["tensors"] += len(seen.tensors)
        said["texts"] = seen.texts
        said["bytes"] += path.stat().st_size
    return said


def observe(data: Path, exported: Path, examples: int, graph: str = MODEL) -> CalibrationTable:
    """Run a float graph on training texts and take in what it computes."""
    names = candidates(exported, graph)
    texts = sample_texts(data, examples)
    tensors = {name: Observed() for name in names}
    for values in activations(exported, names, data, texts, "Calibrate", graph):
        for name, observed in tensors.items():
            if not observed.add(values[name]):
                raise ModelError(
                    f"{exported / graph} computes NaN or infinity in {name}, expected "
                    "finite activations; look at the training that made the model"
                )
    return CalibrationTable(hash_file(exported / graph), len(texts), tensors)


def candidates(exported: Path, graph: str = MODEL) -> list[str]:
    """Tensors that any placement may quantize."""
    model = load_float_model(exported / graph)
    return list(
        dict.fromkeys(place.tensor for place in places(model, attention=True, residuals=True))
    )


def _given(path: Path, exported: Path) -> CalibrationTable:
    table = read_table(path, exported / "model.onnx")
    missing = [name for name in candidates(exported) if name not in table.tensors]
    if missing:
        raise ModelError(
            f"{path} has no tensor {missing[0]}, expected all that may be quantized; calibrate "
            "anew (quantize.calibration_table: null)"
        )
    return table

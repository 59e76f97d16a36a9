"""The calibrate stage: what every activation that may be quantized looks like on training texts."""

from pathlib import Path
from typing import Any

from pocketbert.compress.errors import ModelError

from .activations import activations, load_float_model, sample_texts
from .bundle import hash_file
from .calibration_table import CALIBRATION, CalibrationTable, read_table, write_table
from .observed import Observed
from .placement import places


def calibrate(
    *, out: Path, examples: int, data: Path, exported: Path, table: str | None = None
) -> dict[str, Any]:
    """Watch the float model on training texts, or take over a table made elsewhere.

    The table covers every placement, every method of choosing ranges and every target, so that
    none of these needs a calibration of its own.

    Args:
        out: Gets `calibration.json`, the table.
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
    seen = observe(data, exported, examples) if table is None else _given(Path(table), exported)
    write_table(seen, out / CALIBRATION)
    return {
        "tensors": len(seen.tensors),
        "texts": seen.texts,
        "bytes": (out / CALIBRATION).stat().st_size,
    }


def observe(data: Path, exported: Path, examples: int) -> CalibrationTable:
    """Run the float model on training texts and take in what it computes."""
    names = candidates(exported)
    texts = sample_texts(data, examples)
    tensors = {name: Observed() for name in names}
    for values in activations(exported, names, data, texts, "Calibrate"):
        for name, observed in tensors.items():
            if not observed.add(values[name]):
                raise ModelError(
                    f"{exported / 'model.onnx'} computes NaN or infinity in {name}, expected "
                    "finite activations; look at the training that made the model"
                )
    return CalibrationTable(hash_file(exported / "model.onnx"), len(texts), tensors)


def candidates(exported: Path) -> list[str]:
    """Tensors that any placement may quantize."""
    model = load_float_model(exported / "model.onnx")
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

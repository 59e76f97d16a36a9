"""Golden answers: what every machine that opens a bundle has to reproduce, and how closely."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import DataDescription, load_split
from pocketbert.compress.errors import BundleError
from pocketbert.compress.texts import Text

from .bundle import Precision, Target
from .engine import Engine
from .graph_files import MODEL
from .runners.ort_writer import open_graph
from .targets import Built
from .tasks import TASKS
from .tokenizer import Tokenizer
from .writing import Language

GOLDEN_TEXTS = 8
GOLDEN_TEXTS_TRIED = 64  # where not every text will do

# Share of the largest golden logit by which a machine may differ: in INT8 a value that falls on
# the other side of a rounding step moves a logit a little; 16 bits keep 8 or 11 of a number's 24.
GOLDEN_TOLERANCE: dict[Precision, float] = {
    "float32": 1e-3,
    "float16": 2e-2,
    "bfloat16": 5e-2,
    "int8": 5e-2,
}
# In 16 bits many more values fall on the other side of a step of INT8: around the quickstart's INT8
# FP16 moved a logit by up to 0.12 of the largest one (200 texts, by hand, no script repeats it).
GOLDEN_TOLERANCE_INT8_IN_16_BITS = 0.2


def golden_answers(
    built: Sequence[Built],
    targets: Sequence[Target],
    exported: Path,
    tokenizer: Tokenizer,
    data: Path,
    description: DataDescription,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Choose texts, and let every target's reference answer them.

    Args:
        built: Targets as they were built, each with the graph that its logits come from.
        targets: Those of the bundle, several of which may share a file.
        exported: Folder of the exported float model.
        tokenizer: Its tokenizer.
        data: Folder of the data stage; the texts are of its validation split.
        description: What it says of the data.

    Returns:
        The content of golden.json: the texts with their tokens and, by target, the logits and by
        how much a machine may differ. And how far those of the first target are from the float
        model's, as `golden_max_abs_difference_to_float`.

    Raises:
        BundleError: A reference answers with NaN or infinity, or a translator's writes none of the
            texts as the float model does.
    """
    texts = load_split(data, "validation").texts
    generates = TASKS[description.kind].generates
    language = Language.open(exported) if generates else None

    def engine(path: Path, optimize: bool = True) -> Engine:
        runner = open_graph(path, generates, optimize=optimize)
        labels, kind = description.labels, description.kind
        return Engine(tokenizer, runner, labels, kind=kind, language=language)

    of_floats = engine(exported / MODEL)
    references = {one.target.path: engine(one.reference, False) for one in built}
    if generates:
        texts = written_alike([of_floats, *references.values()], texts[:GOLDEN_TEXTS_TRIED])
    texts = texts[:GOLDEN_TEXTS]
    encoded = [tokenizer.encode([text]) for text in texts]
    by_path = {path: reference.rows(texts) for path, reference in references.items()}
    _check_finite(by_path)
    floats = of_floats.rows(texts)
    cost = {path: of_floats.largest_difference(floats, rows) for path, rows in by_path.items()}
    answers = {
        target.name: {
            "logits": [rows.tolist() for rows in by_path[target.path]],
            "tolerance": _tolerance(
                target, of_floats.weight(by_path[target.path]), cost[target.path]
            ),
        }
        for target in targets
    }
    golden = {
        "texts": texts,
        "input_ids": [inputs["input_ids"][0].tolist() for inputs in encoded],
        "targets": answers,
    }
    return golden, {"golden_max_abs_difference_to_float": cost[targets[0].path]}


def written_alike(engines: Sequence[Engine], texts: Sequence[Text]) -> list[Text]:
    """Choose texts whose answer all engines write alike, which another processor will, too.

    Elsewhere two tokens may be almost equally likely, and its roundings choose the other.
    """
    alike = [text for text in texts if len({engine([text])[0].text for engine in engines}) == 1]
    if not alike:
        raise BundleError(
            f"none of {len(texts)} validation texts is written by the float model as by what is "
            "made of it, expected one or more to test devices with; quantize less of it, or leave "
            "the section quantize out"
        )
    return alike


def _check_finite(logits: Mapping[str, Sequence[NDArray[np.float32]]]) -> None:
    for path, texts in logits.items():
        if not all(np.isfinite(values).all() for values in texts):
            raise BundleError(
                f"{path} answers validation texts with NaN or infinity, expected numbers; values "
                "leave the range of its 16-bit format: set compile.float_precision to float32"
            )


def _tolerance(target: Target, largest: float, cost: float) -> float:
    """By how much a machine may differ, of logits as large as `largest`.

    In INT8 also by what INT8 itself changed, `cost`: the deeper a model is, the more of its values
    fall on another side of a step when one does, and both grow alike.
    """
    if target.precision != "int8":
        share = max(GOLDEN_TOLERANCE[target.precision], GOLDEN_TOLERANCE[target.float_precision])
        return share * largest
    in_floats = target.float_precision == "float32"
    share = GOLDEN_TOLERANCE["int8"] if in_floats else GOLDEN_TOLERANCE_INT8_IN_16_BITS
    return max(share * largest, cost)

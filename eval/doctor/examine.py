"""The doctor: what is looked at for a bundle, an ONNX file of any tool, or a run."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pocketbert.compress.data import load_split
from pocketbert.compress.errors import UserError
from pocketbert.compress.texts import Text
from pocketbert.deploy.bundle import MANIFEST, TOKENIZER

from ..latency import choose_texts
from . import Finding
from .accuracy import AccuracyReport, examine_accuracy, stages_of_run
from .case import Case, case_of_onnx, cases_of_bundle
from .numerics import examine_numerics
from .speed import SpeedReport, examine_speed

DOCTOR_FILE = "doctor.json"
TEXTS = 50


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the doctor found.

    Attributes:
        texts: Texts that speed was measured on.
        speed: One report a target that runs here.
        numerics: What the graphs alone tell about wrong answers.
        accuracy: Layer by layer, of a run.
    """

    texts: int
    speed: tuple[SpeedReport, ...]
    numerics: tuple[Finding, ...]
    accuracy: AccuracyReport | None = None


def examine(path: Path, texts: Sequence[Text] = (), tokenizer: Path | None = None) -> Examination:
    """Examine what lies at a path.

    Args:
        path: A bundle, an ONNX file, or the folder of a run's results.
        texts: What to run; of a bundle its golden texts and of a run test texts if there are none.
        tokenizer: Of an ONNX file, its tokenizer.json if it does not lie beside it.

    Raises:
        UserError: It is none of these.
    """
    if path.suffix == ".onnx":
        return _examined([case_of_onnx(path, tokenizer or path.with_name(TOKENIZER), texts)])
    if (path / MANIFEST).is_file():
        return _examined(cases_of_bundle(path, texts))
    if not (path / "run.json").is_file():
        raise UserError(
            f"{path} has neither {MANIFEST} nor run.json, expected a bundle, the folder of a run's "
            "results, or an .onnx file; give one of these"
        )
    texts = texts or _test_texts(stages_of_run(path)["data"])
    accuracy = examine_accuracy(path)
    return _examined(cases_of_bundle(path / "bundle", texts), accuracy)


def examine_bundle(*, out: Path, data: Path, compiled: Path) -> dict[str, Any]:
    """Stage: examine the bundle that ships on test texts, for the report.

    Args:
        out: Gets `doctor.json`, an Examination.
        data: Folder of the data stage.
        compiled: Folder whose `bundle` ships.

    Returns:
        How many `findings` there are.
    """
    found = _examined(cases_of_bundle(compiled / "bundle", _test_texts(data)))
    write_examination(found, out)
    return {"findings": sum(len(one.findings) for one in found.speed) + len(found.numerics)}


def write_examination(found: Examination, folder: Path) -> None:
    """Write `doctor.json`."""
    temporary = folder / f"{DOCTOR_FILE}.tmp"
    temporary.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / DOCTOR_FILE)


def read_examination(folder: Path) -> Examination:
    """Read what `write_examination` wrote."""
    return TypeAdapter(Examination).validate_json((folder / DOCTOR_FILE).read_bytes())


def _examined(cases: Sequence[Case], accuracy: AccuracyReport | None = None) -> Examination:
    return Examination(
        texts=len(cases[0].texts),
        speed=tuple(examine_speed(case) for case in cases),
        numerics=tuple(finding for case in cases for finding in examine_numerics(case)),
        accuracy=accuracy,
    )


def _test_texts(data: Path) -> list[Text]:
    return choose_texts(load_split(data, "test").texts, TEXTS)

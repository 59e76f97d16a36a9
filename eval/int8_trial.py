"""Engines of one model, some layers in INT8 and the rest in float, on the validation split."""

import shutil
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from pocketbert.compress.data import Examples, load_description, load_split
from pocketbert.deploy.activations import load_float_model
from pocketbert.deploy.calibration_table import CALIBRATION, CalibrationTable, read_table
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.graph import save_model
from pocketbert.deploy.int8_edits import fuse_integer_matmuls, fuse_lstms
from pocketbert.deploy.quantize import quantized_model
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.thresholds import copy_thresholds

from .accuracy import predict, truth_of
from .artifacts import Artifact, open_artifact
from .config import EvaluateConfig
from .latency import choose_texts, measure_latency
from .tasks import MEASURES, Measure

TIMED = EvaluateConfig(latency_texts=50, latency_rounds=7)


@dataclass(frozen=True)
class Trial:
    """A model and how it would be quantized.

    Attributes:
        scratch: Folder for engines.
        config: Method, placement, and how ranges are chosen.
        data: Folder of the data stage.
        exported: Folder of the float model.
        calibrated: Folder of the calibrate stage, for methods that need one.
    """

    scratch: Path
    config: QuantizeConfig
    data: Path
    exported: Path
    calibrated: Path | None

    @cached_property
    def model(self) -> ModelProto:
        """The float model."""
        return load_float_model(self.exported / "model.onnx")

    @cached_property
    def table(self) -> CalibrationTable | None:
        """What was seen of its activations."""
        if self.calibrated is None:
            return None
        return read_table(self.calibrated / CALIBRATION, self.exported / "model.onnx")

    @cached_property
    def measure(self) -> Measure:
        """The task's metric."""
        description = load_description(self.data)
        return MEASURES[description.kind](description.labels)

    @cached_property
    def examples(self) -> Examples:
        """The validation split."""
        return load_split(self.data, "validation")

    @cached_property
    def truth(self) -> NDArray[Any]:
        """What its answers are compared with."""
        return truth_of(self.examples, load_description(self.data), self.exported)

    @cached_property
    def float_logits(self) -> NDArray[np.float32]:
        """What the float model says, as `accuracy.predict` returns it."""
        return self._logits(self.exported, "Float model")

    def accuracy_and_agreement(self, keep_float: Set[str]) -> tuple[float, float]:
        """The metric, and the share of the float model's answers, with some operators in float."""
        folder = self.build(keep_float, "tried")
        logits = self._logits(folder, "INT8 engine")
        agreement = float(self.measure.same(logits, self.float_logits).mean())
        return self.accuracy(logits), agreement

    def accuracy(self, logits: NDArray[np.float32]) -> float:
        """The task's metric on the validation split."""
        return self.measure.value(logits, self.truth)

    def divergence(self, keep_float: Set[str], texts: int) -> float:
        """Mean divergence of an engine's answers from those of the float model."""
        return self.measure.divergence(self.logits(keep_float, texts), self.float_logits[:texts])

    def logits(self, keep_float: Set[str], texts: int) -> NDArray[np.float32]:
        """What an engine says on the first `texts` validation texts, as `predict` returns it."""
        return self._logits(self.build(keep_float, "tried"), "Some layers in INT8", texts)

    def p50_ratios(self, keep_float: Set[str]) -> tuple[float, float]:
        """Median latency over that with all in INT8, and over the float model's, interleaved."""
        folders = {
            "kept": self.build(keep_float, "kept"),
            "int8": self.build(frozenset(), "int8"),
            "float": self.exported,
        }
        description = load_description(self.data)
        measured = measure_latency(
            [_artifact(name, folder) for name, folder in folders.items()],
            choose_texts(self.examples.texts, TIMED.latency_texts),
            description.labels,
            description.max_length,
            TIMED,
            self.scratch / "logs",
            description.kind,
            description.truncation,
        )
        p50_ms = {name: np.median(one.latencies_ms, axis=1) for name, one in measured.items()}
        to_int8, to_float = (
            float(np.median(p50_ms["kept"] / p50_ms[other])) for other in ("int8", "float")
        )
        return to_int8, to_float

    def build(self, keep_float: Set[str], name: str) -> Path:
        """Write an engine's folder, below `scratch`, as this machine would run it."""
        folder = self.scratch / name
        folder.mkdir(exist_ok=True)
        model = quantized_model(self.model, self.table, self.config, keep_float=keep_float)
        lower(model, self.model, available_isas()[0])
        fuse_integer_matmuls(model)
        fuse_lstms(model)
        save_model(model, folder / "model.onnx")
        shutil.copyfile(self.exported / "tokenizer.json", folder / "tokenizer.json")
        copy_thresholds(self.exported, folder)
        return folder

    def _logits(self, folder: Path, title: str, texts: int | None = None) -> NDArray[np.float32]:
        description = load_description(self.data)
        engine = open_artifact(
            _artifact(title, folder),
            description.labels,
            description.max_length,
            1,
            description.kind,
            description.truncation,
        )
        return predict(engine, self.examples.texts[:texts], self.truth[:texts], title)


def _artifact(name: str, folder: Path) -> Artifact:
    return Artifact(name=name, title=name, kind="onnx", folder=str(folder))

"""What the recipe may say about quantization and compilation; importable on a device."""

from dataclasses import dataclass, field
from typing import Literal

from pocketbert.compress.config import ADDED_LATER, STRICT, check_positive


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """INT8.

    Attributes:
        calibration_examples: Training texts, at their real lengths, on which activations are seen.
        calibration: How a range is read from the activations seen.
        calibration_table: File of a table made before for the same exported model.
        attention: Quantize both products of attention as well.
        residuals: Quantize what goes round a sub-layer into its residual sum as well.
        embeddings: Keep the token and position tables in INT8 with one scale a row.
    """

    __pydantic_config__ = STRICT
    calibration_examples: int = 256
    calibration: Literal["minmax", "percentile", "entropy", "mse"] = "minmax"
    calibration_table: str | None = field(default=None, metadata=ADDED_LATER)
    attention: bool = field(default=False, metadata=ADDED_LATER)
    residuals: bool = field(default=False, metadata=ADDED_LATER)
    embeddings: bool = True

    def __post_init__(self) -> None:
        check_positive("calibration_examples", self.calibration_examples)


@dataclass(frozen=True, kw_only=True)
class CompileConfig:
    """What the engine is built for.

    Attributes:
        target: The runtime.
        isa: Instruction set that the INT8 layout is lowered for; `auto` is this machine's.
        threads: Threads of one inference.
    """

    __pydantic_config__ = STRICT
    target: Literal["onnxruntime"] = "onnxruntime"
    isa: Literal["auto", "x86_64", "x86_64_vnni", "arm64"] = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        check_positive("threads", self.threads)

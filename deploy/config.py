"""What the recipe may say about quantization and compilation; importable on a device."""

from dataclasses import dataclass
from typing import Literal

from pocketbert.compress.config import STRICT, check_positive


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """Static INT8 with explicit Q/DQ.

    Attributes:
        calibration_examples: Training texts, at their real lengths, that set activation ranges.
        calibration: How a range is read from the activations seen.
        embeddings: Keep the token and position tables in INT8 with one scale a row.
    """

    __pydantic_config__ = STRICT
    calibration_examples: int = 256
    calibration: Literal["minmax", "percentile"] = "minmax"
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

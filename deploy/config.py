"""What the recipe may say about quantization and compilation; importable on a device."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pocketbert.compress.config import ADDED_LATER, STRICT, check, check_positive


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
class ChooseConfig:
    """How the best of several targets is chosen.

    Attributes:
        min_agreement: Least share of validation texts that get the float model's label; a target
            below is tried and not published.
        min_gain: How many times as fast as the best 16-bit or FP32 target an INT8 one must be to
            be published.
        texts: Validation texts that are timed.
        rounds: How often each target answers them.
    """

    __pydantic_config__ = STRICT
    min_agreement: float = 0.98
    min_gain: float = 1.02
    texts: int = 100
    rounds: int = 7

    def __post_init__(self) -> None:
        check(
            0 <= self.min_agreement <= 1,
            f"min_agreement is {self.min_agreement:g}, expected a fraction from 0 to 1",
        )
        check(
            self.min_gain >= 1,
            f"min_gain is {self.min_gain:g}, expected 1 or more: a ratio of latencies",
        )
        check_positive("texts", self.texts)
        check_positive("rounds", self.rounds)


TargetName: TypeAlias = Literal["onnxruntime", "openvino", "tensorrt"]


@dataclass(frozen=True, kw_only=True)
class CompileConfig:
    """What the engine is built for.

    Attributes:
        target: The runtime; `auto` builds all that this machine can run and keeps the best.
        also: Further runtimes, for other machines, whose targets go into the same bundle.
        isa: Instruction set that the INT8 layout is lowered for; `auto` is this machine's.
        float_precision: Number format of what is not INT8; None is what the runtime is fastest
            with (FP32 in ONNX Runtime, BF16 in OpenVINO where the processor has it, FP16 in
            TensorRT).
        threads: Threads of one inference.
        choose: How `auto` chooses.
    """

    __pydantic_config__ = STRICT
    target: Literal["auto"] | TargetName = "onnxruntime"
    also: tuple[TargetName, ...] = field(default=(), metadata=ADDED_LATER)
    isa: Literal["auto", "x86_64", "x86_64_vnni", "arm64"] = "auto"
    float_precision: Literal["float32", "bfloat16", "float16"] | None = field(
        default=None, metadata=ADDED_LATER
    )
    threads: int = 1
    choose: ChooseConfig | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_positive("threads", self.threads)
        names = (self.target, *self.also)
        twice = next((name for name in names if names.count(name) > 1), None)
        check(twice is None, f"also names {twice!r} twice, expected every target once")
        check(
            self.choose is None or self.target == "auto",
            f"choose is a section, expected none (null) with target {self.target!r}, because only "
            "auto chooses",
        )

"""What the recipe may say about quantization and compilation; importable on a device."""

from dataclasses import dataclass, field
from typing import Literal

from pocketbert.compress.config import ADDED_LATER, STRICT, check, check_fraction, check_positive

CALIBRATED = ("static", "smoothquant")
# Keys that would be without effect with other methods.
OF_METHODS = {
    "calibration": CALIBRATED,
    "calibration_table": CALIBRATED,
    "attention": CALIBRATED,
    "residuals": CALIBRATED,
    "alpha": ("smoothquant",),
    "weight_bits": ("weight_only",),
    "block_size": ("weight_only",),
}


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """When layers go back to float.

    Attributes:
        max_drop: Most that the accuracy on the validation split may fall below the float model's.
        min_agreement: Least share of those texts that get the float model's label, if any.
        texts: Validation texts on which each layer's harm is measured.
    """

    __pydantic_config__ = STRICT
    max_drop: float = 0.003
    min_agreement: float | None = None
    texts: int = 256

    def __post_init__(self) -> None:
        check_fraction("max_drop", self.max_drop)
        if self.min_agreement is not None:
            check_fraction("min_agreement", self.min_agreement, low_open=True)
        check_positive("texts", self.texts)


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """INT8.

    Attributes:
        method: How products are quantized.
        calibration_examples: Training texts, at their real lengths, on which activations are seen.
        calibration: How a range is read from the activations seen.
        calibration_table: File of a table made before for the same exported model.
        attention: Quantize both products of attention as well.
        residuals: Quantize what goes round a sub-layer into its residual sum as well.
        embeddings: Keep the token and position tables in INT8 with one scale a row.
        alpha: `smoothquant`: share of the difficulty that moves from activations into weights.
        weight_bits: `weight_only`: bits of a weight.
        block_size: `weight_only`: weights that share a scale.
        guard: Layers that INT8 harms go back to float.
    """

    __pydantic_config__ = STRICT
    method: Literal["static", "smoothquant", "dynamic", "weight_only"] = field(
        default="static", metadata=ADDED_LATER
    )
    calibration_examples: int = 256
    calibration: Literal["minmax", "percentile", "entropy", "mse"] = "minmax"
    calibration_table: str | None = field(default=None, metadata=ADDED_LATER)
    attention: bool = field(default=False, metadata=ADDED_LATER)
    residuals: bool = field(default=False, metadata=ADDED_LATER)
    embeddings: bool = True
    alpha: float = field(default=0.5, metadata=ADDED_LATER)
    weight_bits: Literal[8, 4] = field(default=8, metadata=ADDED_LATER)
    block_size: Literal[32, 64, 128] = field(default=32, metadata=ADDED_LATER)
    guard: GuardConfig | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_positive("calibration_examples", self.calibration_examples)
        check_fraction("alpha", self.alpha)
        for key, methods in OF_METHODS.items():
            value, default = getattr(self, key), type(self).__dataclass_fields__[key].default
            check(
                value == default or self.method in methods,
                f"{key} is {_plain(value)}, expected {_plain(default)} because method is "
                f"{self.method} (it belongs to {' and '.join(methods)})",
            )

    @property
    def calibrated(self) -> bool:
        """Whether the method chooses ranges from what was seen of activations."""
        return self.method in CALIBRATED


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


def _plain(value: object) -> str:
    """As a recipe would write it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)

"""What the recipe may say about quantization and compilation; importable on a device."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

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


# Of runtimes that do not have all; OpenVINO's depend on the processor.
FLOAT_PRECISIONS = {
    "auto": ("float32",),  # which every runtime has
    "onnxruntime": ("float32",),
    "tensorrt": ("float16", "float32"),
}

TargetName: TypeAlias = Literal["onnxruntime", "openvino", "tensorrt"]
IsaName: TypeAlias = Literal["x86_64", "x86_64_vnni", "arm64"]


@dataclass(frozen=True, kw_only=True)
class CompileConfig:
    """What the engine is built for.

    Attributes:
        target: The runtime; `auto` builds all that this machine can run and keeps the best.
        also: Further runtimes, for other machines, whose targets go into the same bundle.
        isa: Instruction set that the INT8 layout is lowered for; `auto` is this machine's.
        also_isa: Further ones, of other machines: each is one more target of ONNX Runtime in the
            bundle, with golden answers of its own.
        float_precision: Number format of what is not INT8; None is what the runtime is fastest
            with (FP32 in ONNX Runtime, BF16 in OpenVINO where the processor has it, FP16 in
            TensorRT).
        lengths: Lengths in tokens that a runtime of fixed shapes pads its inputs to; none are
            chosen from the training texts.
        threads: Threads of one inference.
        choose: How `auto` chooses.
    """

    __pydantic_config__ = STRICT
    target: Literal["auto"] | TargetName = "onnxruntime"
    also: tuple[TargetName, ...] = field(default=(), metadata=ADDED_LATER)
    isa: Literal["auto"] | IsaName = "auto"
    also_isa: tuple[IsaName, ...] = field(default=(), metadata=ADDED_LATER)
    float_precision: Literal["float32", "bfloat16", "float16"] | None = field(
        default=None, metadata=ADDED_LATER
    )
    lengths: tuple[int, ...] = field(default=(), metadata=ADDED_LATER)
    threads: int = 1
    choose: ChooseConfig | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_positive("threads", self.threads)
        check(
            all(length > 0 for length in self.lengths)
            and list(self.lengths) == sorted(set(self.lengths)),
            f"lengths is {list(self.lengths)}, expected numbers of tokens in rising order",
        )
        check(
            not self.lengths or bool({"auto", "openvino"} & {self.target, *self.also}),
            f"lengths is {list(self.lengths)}, expected none without openvino or auto in target or "
            "also, because other runtimes run any length as it is",
        )
        names = (self.target, *self.also)
        for name, formats in FLOAT_PRECISIONS.items():
            check(
                name not in names or self.float_precision in (None, *formats),
                f"float_precision is {self.float_precision}, expected {' or '.join(formats)} (or "
                f"none) for {name}, which has nothing else",
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        check(twice is None, f"also names {twice!r} twice, expected every target once")
        isas = (self.isa, *self.also_isa)
        double = next((isa for isa in isas if isas.count(isa) > 1), None)
        check(
            double is None, f"also_isa names {double!r} twice, expected every instruction set once"
        )
        check(
            self.choose is None or self.target == "auto",
            f"choose is a section, expected none (null) with target {self.target!r}, because only "
            "auto chooses",
        )


def _plain(value: object) -> str:
    """As a recipe would write it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)

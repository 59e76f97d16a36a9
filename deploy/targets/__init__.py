"""What builds a bundle's targets: one file a runtime, one line here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from pocketbert.compress.errors import BundleError

from ..bundle import Precision, Target
from ..cpu import Isa
from ..runners import RUNNERS, why_not


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What a target is made from.

    Attributes:
        exported: Folder of the export stage: `model.onnx` in FP32, `tokenizer.json`.
        quantized: Folder of the quantize stage, or None for a target in float.
        isa: Instruction set of the processor that it is for.
        float_precision: Format of what is not INT8, or None for the runtime's fastest.
        lengths: Lengths to compile for; none are chosen from the histogram.
        threads: Threads of one inference.
        max_length: Longest input in tokens.
        length_histogram: Training texts that have 0, 1, 2 ... tokens.
    """

    exported: Path
    quantized: Path | None
    isa: Isa
    float_precision: Precision | None
    lengths: tuple[int, ...]
    threads: int
    max_length: int
    length_histogram: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Built:
    """A target and where it lies until it is put in a bundle.

    Attributes:
        target: As the manifest will say it.
        files: Where each of its files is, by path within the bundle.
        reference: ONNX file with the same numbers as plain operators, computed one by one on any
            machine: what its golden logits come from.
        edits: How often each edit of the graph matched.
    """

    target: Target
    files: dict[str, Path]
    reference: Path
    edits: dict[str, int] = field(default_factory=dict)


# (name within the bundle, ingredients, scratch folder) -> the target
TargetBuilder = Callable[[str, Ingredients, Path], Built]

TARGETS: dict[str, str] = {
    "onnxruntime": "pocketbert.deploy.targets.onnxruntime:build",
    "openvino": "pocketbert.deploy.targets.openvino:build",
    "tensorrt": "pocketbert.deploy.targets.tensorrt:build",
}


def build_target(runtime: str, name: str, ingredients: Ingredients, scratch: Path) -> Built:
    """Build a target of the table.

    Args:
        runtime: Row of the table.
        name: What the target is called within the bundle.
        ingredients: What it is made from.
        scratch: Folder for its files, which outlive the call but not the stage.

    Raises:
        BundleError: The runtime is not installed or refuses the model.
    """
    module, function = TARGETS[runtime].split(":")
    try:
        build: TargetBuilder = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name != RUNNERS[runtime].package:
            raise
        raise BundleError(f"the target {name} cannot be built here, {why_not(runtime)}") from error
    return build(name, ingredients, scratch)

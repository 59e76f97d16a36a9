"""An engine under examination: a bundle's target, or an ONNX file of any other tool."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from pocketbert.compress.errors import BundleError, UserError
from pocketbert.compress.texts import Text
from pocketbert.deploy.bundle import GOLDEN, TOKENIZER, Target, read_bundle
from pocketbert.deploy.engine import why_not_here
from pocketbert.deploy.runners import Runner, open_target
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer

from .operators import Inputs, Operator, profile

ROUNDS = 7
MAX_LENGTH = 512  # of a file that does not say


@dataclass(frozen=True)
class Case:
    """One engine and the texts that it is examined on.

    Attributes:
        root: Folder that the target's path starts from.
        target: What runs.
        texts: What it reads, tokenised at their real lengths.
        fixed_length: The only length in tokens that the graph takes; None for any.
        padding_length: Length that tokenizer.json pads everything to; None for none.
        others: Other targets of the same bundle that run here.
    """

    root: Path
    target: Target
    texts: tuple[Inputs, ...]
    fixed_length: int | None = None
    padding_length: int | None = None
    others: tuple[Target, ...] = ()

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [int(text["input_ids"].shape[1]) for text in self.texts]

    @cached_property
    def operators(self) -> list[Operator]:
        """What ran on a text of median length, the slowest first."""
        typical = sorted(self.texts, key=lambda text: text["input_ids"].shape[1])
        return profile(self.root, self.target, self.fitted(typical[len(typical) // 2]))

    @cached_property
    def graph(self) -> ModelProto | None:
        """The ONNX file that is compiled; None where the runtime reads another format."""
        path = self.root / self.target.path
        return onnx.load_model(path) if path.suffix == ".onnx" else None

    @cached_property
    def optimized(self) -> ModelProto:
        """The graph that ONNX Runtime executes."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "optimized.onnx"
            OrtRunner(
                self.root / self.target.path,
                disabled_optimizers=self.target.disabled_optimizers,
                optimized_path=path,
            )
            return onnx.load_model(path)

    @cached_property
    def runner(self) -> Runner:
        """What computes its logits."""
        return open_target(self.root, self.target, threads=1)

    def fitted(self, inputs: Inputs, length: int | None = None) -> Inputs:
        """Pad to a length, or to the only one that the graph takes, in its number format."""
        wanted = length or self.fixed_length
        tokens = inputs["input_ids"].shape[1]
        padding = max((wanted or tokens) - tokens, 0)
        return {name: np.pad(array, ((0, 0), (0, padding))) for name, array in inputs.items()}

    def run(self, inputs: Inputs) -> object:
        """Answer one text as the engine would."""
        return self.runner.run(self.fitted(inputs))


def cases_of_bundle(bundle: Path, texts: Sequence[Text]) -> list[Case]:
    """Open every target of a bundle that runs here.

    Args:
        bundle: The bundle's folder.
        texts: What to examine them on; the golden texts if there are none.

    Raises:
        BundleError: The bundle is broken, or nothing of it runs here.
    """
    manifest = read_bundle(bundle).manifest
    texts = texts or json.loads((bundle / GOLDEN).read_text(encoding="utf-8"))["texts"]
    encoded = _encoded(
        Tokenizer(bundle / TOKENIZER, manifest.max_length, manifest.truncation), texts
    )
    reasons = {target.name: why_not_here(bundle, target) for target in manifest.targets}
    here = [target for target in manifest.targets if reasons[target.name] is None]
    if not here:
        said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise BundleError(f"{bundle} has no target that runs here ({said}), expected one")
    return [
        Case(bundle, target, encoded, others=tuple(each for each in here if each is not target))
        for target in here
    ]


def case_of_onnx(model: Path, tokenizer: Path, texts: Sequence[Text]) -> Case:
    """Open an ONNX file of any tool.

    Args:
        model: The file; its inputs are called input_ids, attention_mask and token_type_ids.
        tokenizer: Its tokenizer.json.
        texts: What to examine it on.

    Raises:
        UserError: Its inputs have other names, or there are no texts.
    """
    if not texts:
        raise UserError(f"{model} comes without texts, expected some to run; give --texts FILE")
    graph = onnx.load_model(model, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [node for node in graph.input if node.name not in stored]
    known = ("input_ids", "attention_mask", "token_type_ids")
    for node in inputs:
        if node.name not in known:
            raise UserError(
                f"{model} has the input {node.name!r}, expected {', '.join(known)}; rename it"
            )
    dimension = inputs[0].type.tensor_type.shape.dim[1]
    fixed = dimension.dim_value or None
    target = Target(
        name=model.stem,
        runtime="onnxruntime",
        path=model.name,
        isa="any",
        precision="int8" if _is_quantized(graph) else "float32",
        threads=1,
        bytes=model.stat().st_size,
        int8_matmuls=0,  # both are counted anew
        float_weight_matmuls=0,
    )
    encoded = _encoded(Tokenizer(tokenizer, fixed or MAX_LENGTH), texts)
    return Case(model.parent, target, encoded, fixed, _padding_length(tokenizer))


def paired_ratio(
    ours: Callable[[Inputs], object], theirs: Callable[[Inputs], object], texts: Sequence[Inputs]
) -> tuple[float, float]:
    """Time two ways to answer the same texts in turns.

    Returns:
        Our median latency in ms, and the median over the rounds of ours divided by theirs.
    """
    ours_ms, ratios = [], []
    for number in range(ROUNDS + 1):
        took = {}
        for run in (ours, theirs) if number % 2 else (theirs, ours):
            times = []
            for text in texts:
                started = time.perf_counter()
                run(text)
                times.append((time.perf_counter() - started) * 1e3)
            took[run] = float(np.median(times))
        if number:  # the first round warms up
            ours_ms.append(took[ours])
            ratios.append(took[ours] / took[theirs])
    return float(np.median(ours_ms)), float(np.median(ratios))


def _encoded(tokenizer: Tokenizer, texts: Sequence[Text]) -> tuple[Inputs, ...]:
    return tuple(tokenizer.encode([text]) for text in texts)


def _is_quantized(graph: onnx.GraphProto) -> bool:
    return any("Quantize" in node.op_type or "Integer" in node.op_type for node in graph.node)


def _padding_length(tokenizer: Path) -> int | None:
    padding = json.loads(tokenizer.read_text(encoding="utf-8")).get("padding") or {}
    strategy = padding.get("strategy")
    return int(strategy["Fixed"]) if isinstance(strategy, dict) else None

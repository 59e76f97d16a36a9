"""Why an engine is not faster: one function a cause, each ending with what to change."""

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from pocketbert.deploy.buckets import bucket_of, choose_buckets
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.runners import open_target

from . import Finding
from .case import Case, paired_ratio
from .operators import Operator
from .products import Product, Reason, products_of

logger = logging.getLogger(__name__)

WORTH_SAYING = 0.05  # share of the time, or of the positions, below which a cause is left out
MAX_BUCKETS = 3
SHOWN_OPERATORS = 12


@dataclass(frozen=True, kw_only=True)
class OperatorShare:
    """Operators of one kind and format, together.

    Attributes:
        kind: Type of the operators.
        types: Formats of what they read.
        count: How many.
        share: Of the time of all operators, 0..1.
    """

    kind: str
    types: str
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """What was seen of one engine.

    Attributes:
        subject: Target of the bundle, or name of the file.
        runtime: What runs it.
        p50_ms: Median latency on the texts, without the tokenizer.
        int8_products: Products with weights that run in INT8.
        float_products: Those that run in float.
        operators: Shares of the time, the largest first.
        findings: Causes, in the order of the table.
    """

    subject: str
    runtime: str
    p50_ms: float
    int8_products: int
    float_products: int
    operators: tuple[OperatorShare, ...]
    findings: tuple[Finding, ...]


def examine_speed(case: Case) -> SpeedReport:
    """Profile an engine and look for every cause of the table."""
    p50_ms, _ = paired_ratio(case.run, case.run, case.texts)
    products = _products(case)
    counts = Counter(product.reason == "int8" for product in products)
    return SpeedReport(
        subject=case.target.name,
        runtime=case.target.runtime,
        p50_ms=p50_ms,
        int8_products=counts[True],
        float_products=counts[False],
        operators=_shares(case.operators),
        findings=tuple(finding for cause in CAUSES for finding in cause(case)),
    )


def signed_activations(case: Case) -> Iterator[Finding]:
    """On x86-64 fast kernels multiply uint8 by int8; int8 by int8 is slow or in float."""
    signed = [product for product in _products(case) if product.signed]
    if not signed or available_isas()[0] == "arm64":
        return
    in_float = sum(product.reason == "signed" for product in signed)
    loose_ms = sum(one.ms for one in _loose(case)) if in_float else 0.0
    share = _share(case, signed) + loose_ms / _total_ms(case)
    yield Finding(
        kind="signed_activations",
        subject=case.target.name,
        found=f"{len(signed)} matrix products have int8 activations (S8S8), {in_float} of which "
        f"run in float because ONNX Runtime does not fuse them; with what quantizes and "
        f"dequantizes around them they take {share:.0%} of the time. Its fast kernels on x86-64 "
        "want uint8 activations (U8S8).",
        remedy="compile for this processor: compile.isa: auto, which stores activations as uint8, "
        "128 higher, with the same numbers; in another tool ask for uint8 activations",
        figures={"products": len(signed), "in_float": in_float, "share": share},
    )


def float_products(case: Case) -> Iterator[Finding]:
    """Products with weights in float beside INT8 ones, for another reason than their sign."""
    products = _products(case)
    if not any(product.reason == "int8" or product.signed for product in products):
        return
    for reason, (why, remedy) in FLOAT_REASONS.items():
        found = [product for product in products if product.reason == reason]
        share = _share(case, found)
        if share < WORTH_SAYING:
            continue
        names = ", ".join(product.name for product in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        yield Finding(
            kind="float_products",
            subject=case.target.name,
            found=f"{len(found)} products with weights run in float and take {share:.0%} of the "
            f"time, because {why}: {names}{more}",
            remedy=remedy,
            figures={"products": len(found), "share": share},
        )


FLOAT_REASONS = {
    "unfused": (
        "what they read is quantized but ONNX Runtime does not fuse the pair",
        "compile with compile.target: onnxruntime, which writes the integer products itself",
    ),
    "few_channels": (
        "they have too few channels for an INT8 kernel to win, as a classifier has",
        "nothing: such products decide the answer and belong in float",
    ),
    "not_quantized": (
        "what they read is not quantized",
        "quantize them: quantize.method: static; if quantize.guard keeps them in float, try "
        "quantize.method: smoothquant or a section qat, which let more layers be INT8",
    ),
    "plugin": (
        "OpenVINO's plugin found no INT8 form for them",
        "try compile.target: auto, which measures the runtimes against each other",
    ),
}


def loose_quantization(case: Case) -> Iterator[Finding]:
    """Time that goes into quantizing and dequantizing instead of multiplying."""
    loose = _loose(case)
    share = sum(one.ms for one in loose) / _total_ms(case)
    counted_there = any(product.reason == "signed" for product in _products(case))
    if share < 2 * WORTH_SAYING or counted_there:
        return
    yield Finding(
        kind="loose_quantization",
        subject=case.target.name,
        found=f"{len(loose)} QuantizeLinear and DequantizeLinear stand alone and take {share:.0%} "
        "of the time",
        remedy="leave quantize.residuals and quantize.attention out for CPUs; models of other "
        "tools: quantize with a recipe, whose placement ONNX Runtime fuses",
        figures={"operators": len(loose), "share": share},
    )


def decomposed_norms(case: Case) -> Iterator[Finding]:
    """LayerNorm or GELU written as many small operators that the runtime did not fuse."""
    if case.target.runtime != "onnxruntime":
        return
    parts = ("ReduceMean", "Pow", "Sqrt", "Erf")
    small = [one for one in case.operators if one.kind in parts]
    share = sum(one.ms for one in small) / _total_ms(case)
    if share < WORTH_SAYING:
        return
    yield Finding(
        kind="decomposed_norms",
        subject=case.target.name,
        found=f"{len(small)} operators are pieces of LayerNorm or GELU ({', '.join(parts)}), which "
        f"were not fused, and take {share:.0%} of the time; what stands between them comes on top",
        remedy="export the model again with a recipe, which writes LayerNormalization (opset 17) "
        "and keeps the pattern of GELU that ONNX Runtime fuses",
        figures={"operators": len(small), "share": share},
    )


def padding(case: Case) -> Iterator[Finding]:
    """Positions that are computed and thrown away."""
    padded = [_padded_length(case, tokens) for tokens in case.lengths]
    share = 1 - sum(case.lengths) / sum(padded)
    if share < WORTH_SAYING:
        return
    ratio, instead, remedy = _without_padding(case)
    figures = {"share": share}
    cost = "; what that costs was not measured: the graph itself needs this length"
    if ratio is not None:
        figures["p50_ratio_without"] = ratio
        cost = f"; {instead} the same texts take {ratio:.2f} of the time (measured in turns)"
    yield Finding(
        kind="padding",
        subject=case.target.name,
        found=f"{share:.0%} of the positions are padding: texts of {min(case.lengths)} to "
        f"{max(case.lengths)} tokens are padded to {_plain(sorted(set(padded)))}{cost}",
        remedy=remedy,
        figures=figures,
    )


def other_engines(case: Case) -> Iterator[Finding]:
    """What the bundle's other engines do on the same texts, float and 16-bit ones above all."""
    for other in case.others:
        runner = open_target(case.root, other, threads=1)
        _, ratio = paired_ratio(case.run, runner.run, case.texts)
        is_faster = ratio < 1
        if is_faster and not (case.target.precision == "int8" != other.precision):
            continue
        float_wins = case.target.precision == "int8" != other.precision and not is_faster
        yield Finding(
            kind="other_engines",
            subject=case.target.name,
            found=f"it takes {ratio:.2f} of the time of {other.name} ({other.precision}), measured "
            "in turns" + (": INT8 wins nothing here" if float_wins else ""),
            remedy="nothing: INT8 is the faster one"
            if is_faster
            else f"use the faster one on such a machine (compile.target: {other.runtime}"
            f"{', quantize: null' if float_wins else ''}), or compile.target: auto, which measures "
            "and publishes INT8 only where it beats the float engines",
            figures={"p50_ratio": ratio},
        )


def other_processor(case: Case) -> Iterator[Finding]:
    """A layout for a lesser processor than this one."""
    best = available_isas()[0]
    if case.target.isa in ("any", best):
        return
    yield Finding(
        kind="other_processor",
        subject=case.target.name,
        found=f"it is laid out for {case.target.isa}, but this processor has {best}",
        remedy=f"compile for it: compile.isa: {best}",
    )


# One row a cause.
CAUSES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    signed_activations,
    float_products,
    loose_quantization,
    decomposed_norms,
    padding,
    other_engines,
    other_processor,
)


def _products(case: Case) -> list[Product]:
    if case.target.runtime == "onnxruntime":
        return products_of(case.optimized, case.operators)
    return [
        Product(
            name=one.name,
            reason=_openvino_reason(one),
            signed=False,
            ms=one.ms,
        )
        for one in case.operators
        if one.kind in ("FullyConnected", "RNNSeq")
    ]


def _openvino_reason(operator: Operator) -> Reason:
    return "int8" if operator.types[0] in ("i8", "u8") else "plugin"


def _shares(operators: Sequence[Operator]) -> tuple[OperatorShare, ...]:
    total_ms = sum(one.ms for one in operators)
    groups: dict[tuple[str, str], list[float]] = {}
    for one in operators:
        groups.setdefault((one.kind, ", ".join(dict.fromkeys(one.types))), []).append(one.ms)
    shares = [
        OperatorShare(kind=kind, types=types, count=len(ms), share=sum(ms) / total_ms)
        for (kind, types), ms in groups.items()
    ]
    return tuple(sorted(shares, key=lambda one: -one.share)[:SHOWN_OPERATORS])


def _share(case: Case, products: Sequence[Product]) -> float:
    return sum(product.ms for product in products) / _total_ms(case)


def _loose(case: Case) -> list[Operator]:
    return [one for one in case.operators if one.kind in ("QuantizeLinear", "DequantizeLinear")]


def _total_ms(case: Case) -> float:
    return sum(one.ms for one in case.operators)


def _padded_length(case: Case, tokens: int) -> int:
    if case.target.lengths:
        return bucket_of(tokens, case.target.lengths) or tokens
    return max(tokens, case.fixed_length or case.padding_length or tokens)


def _without_padding(case: Case) -> tuple[float | None, str, str]:
    """What the same texts take without so much padding, said how, and what to change."""
    if case.target.lengths:
        histogram = np.bincount(case.lengths).tolist()
        better = choose_buckets(histogram, max_buckets=MAX_BUCKETS)
        runner = open_target(case.root, replace(case.target, lengths=better), threads=1)
        _, ratio = paired_ratio(runner.run, case.run, case.texts)
        remedy = (
            f"leave compile.lengths out, or set it to {_plain(better)}, chosen from these texts"
        )
        return ratio, f"compiled for {_plain(better)} tokens", remedy
    if case.fixed_length is None:
        length = case.padding_length
        _, ratio = paired_ratio(
            case.run, lambda text: case.runner.run(case.fitted(text, length)), case.texts
        )
        return (
            ratio,
            "at their real lengths",
            (
                "drop the padding from tokenizer.json or from the call of the tokenizer; a "
                "bundle's engine never pads a single text for ONNX Runtime"
            ),
        )
    remedy = (
        "export with a sequence axis of any length, as a recipe's export does (dynamic_axes), or "
        "give compile.lengths the lengths of your texts with compile.target: openvino"
    )
    return _freed(case), "with a free sequence axis", remedy


def _freed(case: Case) -> float | None:
    """Time without the fixed length over time with it; None if the graph needs that length."""
    model = onnx.load_model(case.root / case.target.path)
    for node in model.graph.input:
        node.type.tensor_type.shape.dim[1].dim_param = "seq"
    for node in (*model.graph.output, *model.graph.value_info):
        node.type.tensor_type.ClearField("shape")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "free.onnx"
        onnx.save_model(model, path)
        try:
            runner = open_target(case.root, replace(case.target, path=str(path)), threads=1)
            runner.run(case.texts[0])
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            logger.info("%s needs its fixed length: %s", case.target.name, error)
            return None
        return paired_ratio(runner.run, case.run, case.texts)[1]


def _plain(lengths: Sequence[int]) -> str:
    return ", ".join(map(str, lengths))

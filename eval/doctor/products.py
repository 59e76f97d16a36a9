"""Matrix products with weights in the graph that ONNX Runtime executes: INT8 or why not."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from pocketbert.compress.config import MIN_CHANNELS
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.graph import initializers, producers
from pocketbert.deploy.targets.onnxruntime import INTEGER_MATMULS

from .operators import Operator

FLOAT_MATMULS = ("MatMul", "FusedMatMul", "Gemm", "FusedGemm")
Reason: TypeAlias = Literal["int8", "signed", "unfused", "few_channels", "not_quantized", "plugin"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product with weights.

    Attributes:
        name: Of its operator.
        reason: `int8` if it runs in INT8; else why it does not; `plugin` if OpenVINO alone knows.
        signed: Its activations are int8, not uint8.
        ms: Its time.
    """

    name: str
    reason: Reason
    signed: bool
    ms: float


def products_of(optimized: ModelProto, operators: list[Operator]) -> list[Product]:
    """Find the products of a graph.

    Args:
        optimized: What ONNX Runtime executes.
        operators: Its profile.
    """
    times_ms = {operator.name: operator.ms for operator in operators}
    return list(_products(optimized, times_ms))


def operators_of_bundle(bundle: Path) -> Counter[str]:
    """Count the operators of a bundle's graphs by target and type, and its products with weights.

    Raises:
        BundleError: The bundle is broken.
    """
    counts: Counter[str] = Counter()
    for target in read_bundle(bundle).manifest.targets:
        counts[f"{target.name}: INT8 products"] = target.int8_matmuls
        counts[f"{target.name}: float products"] = target.float_weight_matmuls
        if target.path.endswith(".onnx"):
            nodes = onnx.load_model(bundle / target.path, load_external_data=False).graph.node
            counts.update(f"{target.name}: {node.op_type}" for node in nodes)
    return counts


def _products(optimized: ModelProto, times_ms: dict[str, float]) -> Iterator[Product]:
    stored, writers = initializers(optimized), producers(optimized)
    for node in optimized.graph.node:
        if node.op_type in INTEGER_MATMULS:
            signed = _is_signed_integer(node, stored)
            yield Product(
                name=node.name, reason="int8", signed=signed, ms=times_ms.get(node.name, 0.0)
            )
        elif node.op_type in FLOAT_MATMULS:
            weight = _stored_weight(node.input[1], stored, writers)
            if weight is not None:
                reason = _why_float(node, weight, stored, writers)
                yield Product(
                    name=node.name,
                    reason=reason,
                    signed=reason == "signed",
                    ms=times_ms.get(node.name, 0.0),
                )


def _is_signed_integer(node: NodeProto, stored: dict[str, TensorProto]) -> bool:
    """By the zero point of the activations, whose place the operator's definition fixes."""
    place = {"MatMulIntegerToFloat": 4, "QLinearMatMul": 2, "MatMulInteger": 2, "QGemm": 2}.get(
        node.op_type
    )
    if place is None or len(node.input) <= place:
        return False
    zero_point = stored.get(node.input[place])
    return zero_point is not None and zero_point.data_type == TensorProto.INT8


def _stored_weight(
    name: str, stored: dict[str, TensorProto], writers: dict[str, NodeProto]
) -> TensorProto | None:
    """The constant behind an input, through a DequantizeLinear if there is one."""
    writer = writers.get(name)
    if writer is not None and writer.op_type == "DequantizeLinear":
        name = writer.input[0]
    return stored.get(name)


def _why_float(
    node: NodeProto,
    weight: TensorProto,
    stored: dict[str, TensorProto],
    writers: dict[str, NodeProto],
) -> Reason:
    writer = writers.get(node.input[0])
    if writer is not None and writer.op_type == "DequantizeLinear":
        zero_point = stored.get(writer.input[2]) if len(writer.input) > 2 else None
        signed = zero_point is not None and zero_point.data_type == TensorProto.INT8
        return "signed" if signed else "unfused"
    return "few_channels" if min(weight.dims) < MIN_CHANNELS else "not_quantized"

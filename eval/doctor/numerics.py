"""Why an engine answers wrongly, read from its graph alone: one function a cause."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.float_edits import MASK_LIMIT
from pocketbert.deploy.graph import constants, initializers

from . import Finding
from .case import Case

# U8S8 products without VNNI are added in pairs in 16 bits (see deploy/int8_edits.py).
SATURATION_FREE_MAX = 64


def mask_constant(case: Case) -> Iterator[Finding]:
    """A mask of -3.4e38 or -inf, and the quantized tensors whose range it takes."""
    assert case.graph is not None
    values = constants(case.graph)
    lowest = [float(array.min()) for array in _floats(values)]
    masks = [value for value in lowest if value < MASK_LIMIT]
    destroyed = [step for step in _activation_steps(case.graph, values) if step > -MASK_LIMIT / 256]
    if not masks and not destroyed:
        return
    what = f"the mask constant is {min(masks):.3g}" if masks else "a mask of -3.4e38 was calibrated"
    harm = (
        f"; {len(destroyed)} quantized tensors cover it, with steps of up to {max(destroyed):.2g}, "
        "so that every attention score in them rounds to the same number"
        if destroyed
        else "; no quantized tensor covers it yet, but attention in INT8 or FP16 would"
    )
    yield Finding(
        kind="mask_constant",
        subject=case.target.name,
        found=what + harm,
        remedy="export and quantize with a recipe, which replaces it by -1e4 before anything is "
        "calibrated and leaves sums with the mask in float; in another tool do both by hand",
        figures={"destroyed_tensors": len(destroyed), "masks": len(masks)},
    )


def saturating_products(case: Case) -> Iterator[Finding]:
    """Weights of 8 bits on x86-64 without VNNI, where pairs of products saturate in 16 bits."""
    assert case.graph is not None
    if available_isas()[0] != "x86_64":
        return
    products = list(_wide_products(case.graph))
    if not products:
        return
    yield Finding(
        kind="saturating_products",
        subject=case.target.name,
        found=f"{len(products)} products have weights beyond {SATURATION_FREE_MAX} steps; this "
        "processor has no VNNI and adds pairs of uint8 by int8 products in 16 bits, which saturate",
        remedy="compile for it: compile.isa: x86_64, which narrows weights to 7 bits; in another "
        "tool set reduce_range",
        figures={"products": len(products)},
    )


# One row a cause.
CAUSES: tuple[Callable[[Case], Iterator[Finding]], ...] = (mask_constant, saturating_products)


def examine_numerics(case: Case) -> tuple[Finding, ...]:
    """Look for every cause of the table; none where the runtime does not read ONNX."""
    if case.graph is None:
        return ()
    return tuple(finding for cause in CAUSES for finding in cause(case))


def _floats(values: dict[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    return [a for a in values.values() if np.issubdtype(a.dtype, np.floating) and a.size]


def _activation_steps(model: ModelProto, values: dict[str, NDArray[np.generic]]) -> list[float]:
    """Steps of the activations that are quantized with a stored scale."""
    return [
        float(np.max(values[node.input[1]]))
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[1] in values
    ]


def _wide_products(model: ModelProto) -> Iterator[str]:
    """Products of uint8 activations whose int8 weights use more than 7 bits."""
    stored = initializers(model)
    for node in model.graph.node:
        place = {"MatMulIntegerToFloat": (1, 4), "MatMulInteger": (1, 2)}.get(node.op_type)
        place = {"QLinearMatMul": (3, 2)}.get(node.op_type, place)
        if place is None or len(node.input) <= max(place):
            continue
        weight, zero_point = (stored.get(node.input[index]) for index in place)
        if weight is None or zero_point is None:
            continue
        steps = numpy_helper.to_array(weight)
        unsigned = numpy_helper.to_array(zero_point).dtype == np.uint8
        largest = int(np.abs(steps.astype(np.int16)).max())
        if unsigned and steps.dtype == np.int8 and largest > SATURATION_FREE_MAX:
            yield node.name

"""What TensorRT-RTX made of a graph, read from its builder's log.

With detailed profiling one message lists the kernels of the engine with the number formats that
they read. Products are rows of type `gemm` or fused ones named after `Fc`; attention in one kernel
is called `_gemm_mha...`, or `_gemv_mha...` for a single query.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineLayers:
    """Kernels of an engine, over all of its profiles.

    Attributes:
        int8_gemms: Matrix products of INT8; one may stand for query, key and value together.
        float_gemms: Matrix products of FP16 or FP32, unfused ones of attention among them.
        int8_attention: Attentions in one kernel whose products are INT8.
        float_attention: Attentions in one kernel whose products are FP16 or FP32.
    """

    int8_gemms: int
    float_gemms: int
    int8_attention: int
    float_attention: int


def read_layers(log: Iterable[str]) -> EngineLayers:
    """Count the kernels that a builder's log lists.

    Raises:
        ValueError: It lists none.
    """
    tables = [line for line in log if line.startswith("Layers:")]
    if not tables:
        raise ValueError("the log lists no layers, expected one of a build with detailed profiling")
    kinds = Counter(
        kind for table in tables for row in table.splitlines() for kind in [_kind(row)] if kind
    )
    return EngineLayers(**{name: kinds[name] for name in EngineLayers.__annotations__})


def _kind(row: str) -> str | None:
    """Name the attribute that a row counts for; None if it multiplies no matrices."""
    named = re.match(r"Name: (.*?), LayerType: (\w+), Inputs: \[(.*?)\], Constants: ", row)
    if named is None:
        return None
    name, layer_type, inputs = named.groups()
    is_int8 = "Datatype: Int8" in inputs
    if re.match(r"_gem[mv]_mha", name):
        return "int8_attention" if is_int8 else "float_attention"
    if layer_type == "gemm" or re.match(r"__myl_Fc", name):
        return "int8_gemms" if is_int8 else "float_gemms"
    return None

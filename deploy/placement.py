"""Where Q/DQ stand: found by operators, never by names.

The rules are those under which TensorRT fuses INT8 attention and products (NVIDIA, "Working with
quantized types"): inputs of weighted products always; the attention products and the residual
sums on request; never softmax, LayerNorm, GELU or the arithmetic of the mask.
"""

from collections.abc import Set
from typing import NamedTuple, TypeAlias

from onnx import ModelProto, NodeProto

from pocketbert.compress.config import MIN_CHANNELS

from .config import QuantizeConfig
from .graph import initializers, producers, readers, weight_matmuls

KeepFloat: TypeAlias = Set[str]


class Place(NamedTuple):
    """An input of an operator that reads a quantized tensor.

    Attributes:
        node: The operator.
        position: Number of the input.
    """

    node: NodeProto
    position: int

    @property
    def tensor(self) -> str:
        """Name of the tensor that is quantized."""
        return str(self.node.input[self.position])


def places(
    model: ModelProto,
    *,
    attention: bool,
    residuals: bool,
    keep_float: KeepFloat = frozenset(),
) -> list[Place]:
    """Return the inputs that read quantized activations, in the order of the graph.

    Args:
        model: Exported float model.
        attention: Both products of attention as well: query, key, probabilities, value.
        residuals: What goes round a sub-layer into its residual sum as well.
        keep_float: Names of operators that stay in float.
    """
    found = [Place(node, 0) for node in quantizable_matmuls(model)]
    if attention:
        found += [Place(node, position) for node in attention_matmuls(model) for position in (0, 1)]
    if residuals:
        found += residual_inputs(model)
    return [place for place in found if place.node.name not in keep_float]


def quantized_layers(model: ModelProto, config: QuantizeConfig) -> list[tuple[str, ...]]:
    """Return the names of the operators of each layer that is quantized or left as one.

    Products with weights that read the same tensor, such as query, key and value, are one layer.
    """
    products = {node.name for node in quantizable_matmuls(model)}
    layers: dict[str, dict[str, None]] = {}
    for place in places(model, attention=config.attention, residuals=config.residuals):
        name = place.node.name
        layers.setdefault(place.tensor if name in products else name, {})[name] = None
    return [tuple(names) for names in layers.values()]


def quantizable_matmuls(model: ModelProto, keep_float: KeepFloat = frozenset()) -> list[NodeProto]:
    """Products with weights, but for the classifier: it costs nothing and decides the answer.

    The export writes every Gemm as MatMul and Add (`float_edits.split_gemms`).
    """
    return [
        node
        for node in weight_matmuls(model, MIN_CHANNELS)
        if node.op_type == "MatMul" and node.name not in keep_float
    ]


def attention_matmuls(model: ModelProto) -> list[NodeProto]:
    """Products of two activations: query by key, probabilities by value."""
    stored = initializers(model)
    products = (node for node in model.graph.node if node.op_type == "MatMul")
    return [node for node in products if not stored.keys() & set(node.input)]


def residual_inputs(model: ModelProto) -> list[Place]:
    """Inputs of residual sums that come round the sub-layer, not out of its last product.

    A sum counts that feeds a LayerNormalization and has one side that is a product with weights.
    The sum of the mask and the attention scores is none: quantized, it would lose the fusion.
    """
    writers, reading, stored = producers(model), readers(model), initializers(model)
    products = {node.output[0] for node in weight_matmuls(model)}
    found = []
    for node in model.graph.node:
        following = {reader.op_type for reader in reading[node.output[0]]}
        if node.op_type != "Add" or "LayerNormalization" not in following:
            continue
        if stored.keys() & set(node.input):
            continue
        from_product = [_is_product(name, products, writers) for name in node.input]
        if sum(from_product) == 1:
            found.append(Place(node, from_product.index(False)))
    return found


def _is_product(name: str, products: set[str], writers: dict[str, NodeProto]) -> bool:
    """Say whether a tensor is a product with weights, with or without its bias."""
    writer = writers.get(name)
    biased = writer is not None and writer.op_type == "Add" and products & set(writer.input)
    return name in products or bool(biased)

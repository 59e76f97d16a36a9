"""TensorRT on an NVIDIA GPU: a typed graph with explicit Q/DQ, and the kit that builds from it."""

from pathlib import Path

import onnx
from onnx import ModelProto

from ..bundle import Precision, Target
from ..graph import producers, save_model
from ..half import halve
from ..tensorrt_int8 import center_activations, dequantize_tables, release_single_queries
from ..tensorrt_kit import KIT, write_kit
from ..tensorrt_profiles import profiles_for
from ..tensorrt_support import check_supported
from . import Built, Ingredients


def build(name: str, ingredients: Ingredients, scratch: Path) -> Built:
    """Write the model that a device with TensorRT 10.3 to 11.x builds its engine from.

    An engine belongs to one GPU and one version of TensorRT: it is built where it runs. Products
    are therefore counted in the graph, whose types a strongly typed network keeps.

    Raises:
        BundleError: TensorRT does not take the model.
    """
    float_precision = ingredients.float_precision or "float16"
    folder = ingredients.exported if ingredients.quantized is None else ingredients.quantized
    model = onnx.load_model(folder / "model.onnx")
    edits = lower(model, float_precision)
    check_supported(model)
    path = scratch / "model.onnx"
    save_model(model, path)
    write_kit(
        scratch,
        name,
        [node.name for node in model.graph.input],
        profiles_for(ingredients.length_histogram, ingredients.max_length),
        model.opset_import[0].version,
    )
    int8_matmuls, float_matmuls = count_matmuls(model)
    target = Target(
        name=name,
        runtime="tensorrt",
        path=f"{name}/model.onnx",
        isa="any",
        precision="int8" if int8_matmuls else float_precision,
        float_precision=float_precision,
        threads=ingredients.threads,
        bytes=path.stat().st_size,
        int8_matmuls=int8_matmuls,
        float_weight_matmuls=float_matmuls,
    )
    files = {f"{name}/{file}": scratch / file for file in ("model.onnx", "build.sh", KIT)}
    return Built(target=target, files=files, reference=path, edits=edits)


def lower(model: ModelProto, float_precision: Precision) -> dict[str, int]:
    """Bring a model, canonical INT8 or float, into TensorRT's layout, in place.

    Returns:
        How often each edit matched.
    """
    edits = {
        "center_activations": center_activations(model),
        "release_single_queries": release_single_queries(model),
        "dequantize_tables": dequantize_tables(model),
    }
    if float_precision == "float16":
        edits["halve"] = halve(model)
    return edits


def count_matmuls(model: ModelProto) -> tuple[int, int]:
    """Count products with weights, with INT8 on both sides and with float on either."""
    producer = producers(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    int8, floats = 0, 0
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        sources = [_source(name, producer) for name in node.input[:2]]
        if sources[1][0] in stored:
            quantized = all(is_dequantized for _, is_dequantized in sources)
            int8, floats = int8 + quantized, floats + (not quantized)
    return int8, floats


def _source(name: str, producer: dict[str, onnx.NodeProto]) -> tuple[str, bool]:
    """What a product's input is stored as, and whether it is dequantized on the way."""
    node = producer.get(name)
    while node is not None and node.op_type in ("Cast", "DequantizeLinear"):
        if node.op_type == "DequantizeLinear":
            return node.input[0], True
        name = node.input[0]
        node = producer.get(name)
    return name, False

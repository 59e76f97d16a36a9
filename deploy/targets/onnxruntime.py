"""ONNX Runtime on a CPU: INT8 in the number formats that its kernels run fast."""

from collections import Counter
from pathlib import Path

import onnx
from onnx import ModelProto

from ..bundle import Target
from ..cpu import Isa
from ..graph import save_model, weight_matmuls
from ..graph_files import MODEL, graphs_of
from ..int8_edits import fuse_integer_matmuls, fuse_lstms, narrow_weights, shift_zero_points
from ..runners.ort import DISABLED_OPTIMIZERS, OrtRunner
from . import Built, Ingredients

INTEGER_MATMULS = (
    "MatMulIntegerToFloat",
    "QLinearMatMul",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "QGemm",
    "DynamicQuantizeLSTM",
    "MatMulNBits",  # quantizes activations inside the kernel, as weight_only.py asks for
)


def build(name: str, ingredients: Ingredients, scratch: Path) -> Built:
    """Lower the model for one instruction set.

    Raises:
        BundleError: ONNX Runtime refuses the graph.
    """
    is_int8 = ingredients.quantized is not None
    references = scratch / "reference"
    references.mkdir()
    edits: Counter[str] = Counter()
    int8_matmuls = float_weight_matmuls = 0
    graphs = graphs_of(ingredients.exported)
    for graph in graphs:
        edits.update(_write(scratch / graph, references / graph, ingredients))
        counted = count_matmuls(_optimized(scratch / graph))
        int8_matmuls, float_weight_matmuls = (
            int8_matmuls + counted[0],
            float_weight_matmuls + counted[1],
        )
    path = f"{name}/{MODEL}"
    target = Target(
        name=name,
        runtime="onnxruntime",
        path=path,
        isa=ingredients.isa if is_int8 else "any",
        precision="int8" if is_int8 else "float32",
        threads=ingredients.threads,
        disabled_optimizers=DISABLED_OPTIMIZERS,
        bytes=sum((scratch / graph).stat().st_size for graph in graphs),
        int8_matmuls=int8_matmuls,
        float_weight_matmuls=float_weight_matmuls,
    )
    files = {f"{name}/{graph}": scratch / graph for graph in graphs}
    files[f"{name}/config.json"] = ingredients.exported / "config.json"
    return Built(target=target, files=files, reference=references / MODEL, edits=dict(edits))


def lower(model: ModelProto, float_model: ModelProto, isa: Isa) -> dict[str, int]:
    """Bring canonical INT8 into the number formats of an instruction set, in place.

    Args:
        model: Canonical INT8 model.
        float_model: The exported model it was made from.
        isa: ARM64 keeps INT8 activations; x86-64 gets UINT8 ones, and without VNNI 7-bit weights.

    Returns:
        How often each edit matched.
    """
    edits = {}
    if isa == "x86_64":
        edits["narrow_weights"] = narrow_weights(model, float_model)
    if isa in ("x86_64", "x86_64_vnni"):
        edits["shift_zero_points"] = shift_zero_points(model)
    return edits


def count_matmuls(optimized: ModelProto) -> tuple[int, int]:
    """Count products with weights, INT8 and float, in a graph that ONNX Runtime executes."""
    operators = Counter(node.op_type for node in optimized.graph.node)
    return sum(operators[name] for name in INTEGER_MATMULS), len(weight_matmuls(optimized))


def _write(path: Path, reference_path: Path, ingredients: Ingredients) -> dict[str, int]:
    """Write a graph that ships, and the same numbers as plain Q/DQ operators.

    Returns:
        How often each edit matched.
    """
    float_model = onnx.load_model(ingredients.exported / path.name)
    if ingredients.quantized is None:
        save_model(float_model, reference_path)
        save_model(float_model, path)
        return {}
    model = onnx.load_model(ingredients.quantized / path.name)
    edits = lower(model, float_model, ingredients.isa)
    save_model(model, reference_path)
    edits["fuse_integer_matmuls"] = fuse_integer_matmuls(model)
    edits["fuse_lstms"] = fuse_lstms(model)
    save_model(model, path)
    return edits


def _optimized(path: Path) -> ModelProto:
    """The graph that ONNX Runtime executes."""
    optimized_path = path.with_name("optimized.onnx")
    OrtRunner(path, optimized_path=optimized_path)
    return onnx.load_model(optimized_path)

"""OpenVINO on a CPU: the exported graph or our Q/DQ as IR, its lengths taken from the data.

Measured in README.md: the plugin fuses attention by itself, whether it is written as products and a
softmax or as ScaledDotProductAttention, and runs our Q/DQ in INT8 as it stands.
"""

from collections import Counter
from pathlib import Path

import onnx
from onnx import ModelProto

from pocketbert.compress.errors import BundleError

from ..buckets import choose_buckets
from ..bundle import Precision, Target
from ..float_edits import choose_mask
from ..graph import initializers, producers, save_model
from ..runners.openvino import OpenvinoRunner
from ..silent_openvino import openvino
from . import Built, Ingredients
from .onnxruntime import lower

# Each compiled length has a copy of the weights, and they push each other out of the processor's
# cache: more lengths than this were measured to cost more than the padding that they save.
MAX_BUCKETS = 3
WEIGHT_PRODUCTS = ("FullyConnected", "RNNSeq")
FUSED = "Subgraph"
INT8 = ("i8", "u8")
AFTER_INT8 = "/DequantizationMultiply"


def build(name: str, ingredients: Ingredients, scratch: Path) -> Built:
    """Convert the model and count what the plugin runs in INT8.

    Raises:
        BundleError: OpenVINO refuses the graph, or computes nothing in the float format asked for.
    """
    float_precision = _float_precision(ingredients)
    reference, model = scratch / "reference.onnx", scratch / "model.xml"
    edits = _write_reference(reference, ingredients)
    _convert(reference, model)
    lengths = ingredients.lengths or choose_buckets(
        ingredients.length_histogram, max_buckets=MAX_BUCKETS
    )
    runner = OpenvinoRunner(model, ingredients.threads, float_precision, lengths)
    int8_matmuls, float_weight_matmuls = count_matmuls(runner, onnx.load_model(reference))
    weights = model.with_suffix(".bin")
    target = Target(
        name=name,
        runtime="openvino",
        path=f"{name}/model.xml",
        isa=ingredients.isa,
        precision="int8" if ingredients.quantized is not None else float_precision,
        float_precision=float_precision,
        threads=ingredients.threads,
        lengths=lengths,
        bytes=model.stat().st_size + weights.stat().st_size,
        int8_matmuls=int8_matmuls,
        float_weight_matmuls=float_weight_matmuls,
    )
    files = {target.path: model, f"{name}/model.bin": weights}
    return Built(target=target, files=files, reference=reference, edits=edits)


def count_matmuls(runner: OpenvinoRunner, model: ModelProto) -> tuple[int, int]:
    """Count products with weights, INT8 and float, in the graph that the plugin executes.

    An operator of that graph says in which format it runs and which operators it was made of. Small
    products may be part of a fused one, which says FP32: there, what the plugin's INT8 passes put
    behind a product tells that it is one of integers.

    Args:
        runner: What runs.
        model: The graph that it was converted from.
    """
    names = _weight_products(model)
    counts: Counter[bool] = Counter()
    for node in runner.runtime_graph().get_ops():
        about = {key: value.astype(str) for key, value in node.get_rt_info().items()}
        if about.get("layerType") in WEIGHT_PRODUCTS:
            counts[about["runtimePrecision"] in INT8] += 1
        elif about.get("layerType") == FUSED:
            parts = set(about["originalLayersNames"].split(","))
            int8 = {name for name in names if name + AFTER_INT8 in parts}
            counts[True] += len(int8)
            counts[False] += len(names & parts - int8)
    return counts[True], counts[False]


def _weight_products(model: ModelProto) -> set[str]:
    """Names of the products whose second factor is stored, in float or in INT8."""
    stored, writers = initializers(model), producers(model)
    return {
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul"
        if node.input[1] in stored
        or (
            node.input[1] in writers
            and writers[node.input[1]].op_type == "DequantizeLinear"
            and writers[node.input[1]].input[0] in stored
        )
    }


def _float_precision(ingredients: Ingredients) -> Precision:
    """The format asked for, or the fastest that the plugin has on this machine.

    Beside INT8 products that is FP32: what is left is too little to pay for conversions.
    """
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    wanted = ingredients.float_precision
    if wanted is None:
        is_fast = ingredients.quantized is None and "BF16" in capabilities
        return "bfloat16" if is_fast else "float32"
    name = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}[wanted]
    if name not in capabilities:
        raise BundleError(
            f"compile.float_precision is {wanted}, expected one that OpenVINO computes in on this "
            f"processor ({', '.join(capabilities)}); leave it out for the fastest"
        )
    return wanted


def _write_reference(path: Path, ingredients: Ingredients) -> dict[str, int]:
    """Write the ONNX file that is converted, in the number formats of the instruction set."""
    model = float_model = onnx.load_model(ingredients.exported / "model.onnx")
    edits = {}
    if ingredients.quantized is not None:
        model = onnx.load_model(ingredients.quantized / "model.onnx")
        edits = lower(model, float_model, ingredients.isa)
    edits["choose_mask"] = choose_mask(model)
    save_model(model, path)
    return edits


def _convert(source: Path, out: Path) -> None:
    try:
        model = openvino.Core().read_model(source)
    except Exception as error:  # OpenVINO's exceptions share no narrower base
        raise BundleError(
            f"OpenVINO {openvino.__version__} does not read the graph ({error}), expected one that "
            "it knows all operators of; leave openvino out of compile.target and compile.also"
        ) from error
    # Weights stay in FP32 in the file: the plugin rounds them to the format that it computes in.
    openvino.save_model(model, out, compress_to_fp16=False)

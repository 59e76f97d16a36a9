"""Whether TensorRT takes a graph, told without TensorRT."""

from collections.abc import Iterator
from importlib.util import find_spec

from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from pocketbert.compress.errors import BundleError

from .graph import initializers
from .tensorrt_build import check_parses, import_tensorrt

MAX_OPSET = 20

# What encoders are made of. Written by hand from what was at hand of the parser's table "Supported
# ONNX Operators" (github.com/onnx/onnx-tensorrt, docs/operators.md; 8.4 whole, of 10.1 what our
# exports use and the newest opset, 20); the table of 10.3 was not: a device may still refuse.
OPERATOR_NAMES = (
    "Abs Add And Cast Ceil Clip Concat Constant ConstantOfShape Conv CumSum DequantizeLinear "
    "Div Dropout Einsum Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND "
    "Gelu Gemm Greater GreaterOrEqual Identity LSTM LayerNormalization Less LessOrEqual Log "
    "LogSoftmax MatMul Max Mean Min Mul Neg Not Or Pad Pow QuantizeLinear Range Reciprocal "
    "ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Round ScatterND Shape "
    "Sigmoid Sign Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose "
    "Unsqueeze Where"
)
OPERATORS = frozenset(OPERATOR_NAMES.split())


def check_supported(model: ModelProto) -> None:
    """Refuse what TensorRT 10.3 to 11.x would refuse on the device.

    Where TensorRT-RTX is installed its parser reads the model too: it is NVIDIA's own, but newer
    than that of TensorRT 10.3.

    Raises:
        BundleError: An opset above 20, an operator that is not supported, a zero point other than
            0, or an integer constant before something else than a DequantizeLinear.
    """
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > MAX_OPSET:
            raise BundleError(
                f"the model has opset {opset.version}, expected {MAX_OPSET} or lower, which is "
                "what TensorRT 10.3 reads; export it again with a lower opset"
            )
    stored = initializers(model)
    for node in model.graph.node:
        for problem, expected in _problems(node, stored):
            raise BundleError(
                f"the node {node.name or node.output[0]!r} is {problem}, expected {expected}; "
                "compile for another target, or leave out what brings it in"
            )
    if find_spec("tensorrt_rtx") is not None:
        check_parses(import_tensorrt("tensorrt_rtx"), model.SerializeToString())


def _problems(node: NodeProto, stored: dict[str, TensorProto]) -> Iterator[tuple[str, str]]:
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        operator = f"{node.domain}.{node.op_type}".lstrip(".")
        yield f"the operator {operator}", "one that TensorRT's ONNX parser supports"
    if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
        zero_point = stored.get(node.input[2])
        if zero_point is None or numpy_helper.to_array(zero_point).any():
            yield "quantized with a zero point", "a zero point of 0 (the symmetric layout)"
    elif node.op_type != "DequantizeLinear":
        for name in node.input:
            if name in stored and stored[name].data_type == TensorProto.INT8:
                yield f"{node.op_type} of the INT8 constant {name}", "a DequantizeLinear before it"

"""Engines from NVIDIA's own builder, which needs no GPU in TensorRT-RTX: built, never run."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.targets.tensorrt import count_matmuls, lower
from pocketbert.deploy.tensorrt_build import build_engine, check_version, import_tensorrt
from pocketbert.deploy.tensorrt_int8 import dequantize_tables
from pocketbert.deploy.tensorrt_layers import EngineLayers, read_layers
from pocketbert.deploy.tensorrt_profiles import Profile
from pocketbert.deploy.tensorrt_support import check_supported

ANY_SHAPE = (Profile(min=(1, 1), opt=(1, 8), max=(2, 32)),)


@pytest.fixture(scope="module")
def rtx():
    pytest.importorskip("tensorrt_rtx")
    return import_tensorrt("tensorrt_rtx")


def lowered(stages, folder="quantized", precision="float16"):
    model = onnx.load(getattr(stages, folder) / "model.onnx")
    lower(model, precision)
    check_supported(model)
    return model


def layers_of(rtx, model, capability="SM86"):
    built = build_engine(rtx, model.SerializeToString(), ANY_SHAPE, compute_capability=capability)
    assert len(built.plan) > 10_000
    return read_layers(built.log)


def test_products_run_in_int8_and_attention_in_one_kernel(bert, rtx):
    layers = layers_of(rtx, lowered(bert))
    # A layer: query, key and value together, output, two of the feed-forward block. In the last
    # one the query is apart, because it is the first position's only. The pooler.
    assert (layers.int8_gemms, layers.float_gemms) == (10, 1)
    assert layers.int8_attention + layers.float_attention == 2


def test_a_float_graph_has_no_int8(bert, rtx):
    layers = layers_of(rtx, lowered(bert, "exported"))
    assert (layers.int8_gemms, layers.int8_attention) == (0, 0)
    assert layers.float_attention == 2


@pytest.mark.parametrize("name", ["factorised", "mpnet"])
def test_the_parser_takes_other_models(name, request):
    assert count_matmuls(lowered(request.getfixturevalue(name)))[0] > 10


@pytest.mark.parametrize("name", ["biased", "bilstm"])
def test_other_models_build(name, request, rtx):
    model = lowered(request.getfixturevalue(name))
    assert layers_of(rtx, model).int8_gemms >= min(count_matmuls(model)[0], 1)


def test_float32_around_int8_builds(bert, rtx):
    assert layers_of(rtx, lowered(bert, precision="float32")).int8_gemms == 10


def test_a_zero_point_is_refused_by_us_and_by_the_parser(bert, rtx):
    canonical = onnx.load(bert.quantized / "model.onnx")
    dequantize_tables(canonical)
    with pytest.raises(BundleError, match="quantized with a zero point"):
        check_supported(canonical)
    with pytest.raises(BundleError, match="does not take the operator QuantizeLinear of the"):
        build_engine(rtx, canonical.SerializeToString(), ANY_SHAPE)


def one_operator(op_type, opset=17, domain=""):
    node = helper.make_node(op_type, ["x"], ["y"], "the_node", domain=domain)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "test",
        [value("x", TensorProto.FLOAT, ["n", 4])],
        [value("y", TensorProto.FLOAT, ["n", 4])],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_an_operator_that_the_parser_lacks(rtx):
    model = one_operator("FakeQuantize", domain="own")
    with pytest.raises(BundleError, match=r"'the_node' is the operator own\.FakeQuantize"):
        check_supported(model)
    message = r"does not take the operator FakeQuantize of the node 'the_node' \("
    with pytest.raises(BundleError, match=message):
        build_engine(rtx, model.SerializeToString(), ANY_SHAPE)


def test_an_opset_that_tensorrt_10_3_does_not_read():
    check_supported(one_operator("Relu", opset=20))
    with pytest.raises(BundleError, match="opset 21, expected 20 or lower"):
        check_supported(one_operator("Relu", opset=21))


def test_an_int8_table_is_refused():
    model = one_operator("Relu")
    rows = numpy_helper.from_array(np.ones((4, 4), np.int8), "rows")
    model.graph.initializer.append(rows)
    model.graph.node.append(helper.make_node("Gather", ["rows", "ids"], ["z"], "lookup"))
    with pytest.raises(BundleError, match="'lookup' is Gather of the INT8 constant rows"):
        check_supported(model)


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.11", "11.4.0.106"])
def test_versions_that_are_taken(version):
    check_version("tensorrt", version)


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.0"])
def test_versions_that_are_refused(version):
    with pytest.raises(BundleError, match=rf"is {version}, expected 10\.3 or newer and older than"):
        check_version("tensorrt", version)


def test_a_package_that_is_not_installed():
    with pytest.raises(BundleError, match=r"no_such|tensorrt does not load \(.*\), expected an"):
        import_tensorrt("tensorrt")


ROWS = """Layers:
Name: a, LayerType: gemm, Inputs: [ { Name: x, Datatype: Int8 }], Constants: [], Outputs: [ Half ]
Name: b, LayerType: gemm, Inputs: [ { Name: x, Datatype: Half }], Constants: [ Datatype: Int8 ],
Name: __myl_FcAdd_1, LayerType: runtime_fusion, Inputs: [ { Datatype: Half }], Constants: []
Name: __myl_Add_1, LayerType: kgen, Inputs: [ { Datatype: Half }], Constants: []
Name: _gemm_mha_v2_1, LayerType: kgen, Inputs: [ { Datatype: Int8 }], Constants: []
Name: _gemv_mha_v1_2, LayerType: kgen, Inputs: [ { Datatype: Half }], Constants: []"""


def test_layers_are_counted():
    counts = {"int8_gemms": 1, "float_gemms": 2, "int8_attention": 1, "float_attention": 1}
    assert read_layers(["other", ROWS]) == EngineLayers(**counts)
    with pytest.raises(ValueError, match="lists no layers"):
        read_layers(["other"])

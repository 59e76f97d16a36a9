"""Single weights become zero: how many, which, that they stay so, and that a kill costs nothing."""

from typing import Literal

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils import parametrize
from transformers import TrainerState

from pocketbert.compress.config import (
    LogitsConfig,
    ObjectivesConfig,
    PruneConfig,
    SparsifyConfig,
    TrainingConfig,
)
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_model
from pocketbert.compress.prune import prune
from pocketbert.compress.sparse_masks import (
    ChooseMasks,
    Masked,
    encoder_linears,
    make_permanent,
    masked_of,
    original,
    sparsity_at,
    two_of_four,
    unstructured,
)
from pocketbert.compress.sparsify import sparsify
from pocketbert.deploy.config import QuantizeConfig
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.targets.onnxruntime import lower
from pocketbert.deploy.weight_zeros import describe_zeros, weight_zeros

HALF = SparsifyConfig(pattern="unstructured", sparsity=0.5)
LEARNING = TrainingConfig(
    epochs=3, learning_rate=3e-3, batch_size=16, precision="float32", evaluations_per_epoch=2
)
LOGITS = ObjectivesConfig(logits=LogitsConfig(weight=1.0))


def learning(
    pattern: Literal["unstructured", "2:4"],
    scores: Literal["magnitude", "movement"] = "magnitude",
    sparsity: float | None = None,
    reached: float = 0.5,
) -> SparsifyConfig:
    return SparsifyConfig(
        pattern=pattern, sparsity=sparsity, scores=scores, reached=reached, update_every=5,
        objectives=LOGITS, training=LEARNING,
    )  # fmt: skip


def masked_linear(weight):
    linear = nn.Linear(*reversed(weight.shape), bias=False)
    linear.weight.data = weight.clone()
    parametrize.register_parametrization(linear, "weight", Masked(weight))
    return linear


def test_unstructured_masks_share_one_threshold():
    scores = [torch.tensor([[5.0, 1.0], [2.0, 8.0]]), torch.tensor([[0.5, 9.0, 3.0, 4.0]])]
    masks = unstructured(scores, 0.5)
    assert masks[0].tolist() == [[True, False], [False, True]]
    assert masks[1].tolist() == [[False, True, False, True]]
    torch.manual_seed(0)
    random = unstructured([torch.rand(7, 9), torch.rand(30, 4)], 0.3)
    assert sum(int((~mask).sum()) for mask in random) == round(0.3 * 183)


def test_two_of_four_keeps_the_best_pair_of_every_four_inputs():
    torch.manual_seed(0)
    score = torch.rand(6, 12)
    (mask,) = two_of_four([score], 0.5)
    for row, kept in zip(score, mask, strict=True):
        for start in range(0, 12, 4):
            best = set(row[start : start + 4].argsort()[2:].tolist())
            assert set(kept[start : start + 4].nonzero().flatten().tolist()) == best


def test_the_schedule_is_cubic():
    shares = [0.0, 0.25, 0.5, 1.0, 2.0]
    expected = [0.0, 0.5 * (1 - 0.75**3), 0.5 * (1 - 0.5**3), 0.5, 0.5]
    assert [sparsity_at(share, HALF) for share in shares] == pytest.approx(expected)


def test_masked_weights_are_zero_and_still_learn():
    weight = torch.tensor([[0.3, -0.7], [0.1, 0.2]])
    linear = masked_linear(weight)
    masked_of(linear).mask.copy_(torch.tensor([[True, False], [False, True]]))
    assert linear.weight.tolist() == [[pytest.approx(0.3), 0.0], [0.0, pytest.approx(0.2)]]
    inputs = torch.tensor([[2.0, 3.0]])
    linear(inputs).sum().backward()
    assert original(linear).grad.tolist() == [[2.0, 3.0], [2.0, 3.0]]
    make_permanent([linear])
    assert linear.weight.tolist() == [[pytest.approx(0.3), 0.0], [0.0, pytest.approx(0.2)]]
    assert list(linear.state_dict()) == ["weight"]


def test_movement_is_the_sum_of_minus_weight_times_gradient():
    config = SparsifyConfig(
        pattern="unstructured", sparsity=0.5, scores="movement", training=LEARNING,
        objectives=LOGITS,
    )  # fmt: skip
    weight = torch.tensor([[0.3, -0.7], [0.1, 0.2]])
    linear, expected = masked_linear(weight), torch.zeros(2, 2)
    choose = ChooseMasks([linear], config)
    state = TrainerState(max_steps=10)
    for inputs in (torch.tensor([[2.0, 3.0]]), torch.tensor([[-1.0, 0.5]])):
        linear.zero_grad()
        linear(inputs).sum().backward()
        expected -= weight * inputs.expand(2, 2)
        choose.on_pre_optimizer_step(None, state, None)
    torch.testing.assert_close(masked_of(linear).movement, expected)


@pytest.mark.parametrize(
    "config",
    [
        HALF,
        SparsifyConfig(pattern="2:4"),
        learning("unstructured", sparsity=0.8),
        learning("unstructured", "movement", sparsity=0.5),
        learning("2:4"),
    ],
    ids=["at once", "2:4 at once", "gradual", "movement", "2:4 learning"],
)
def test_zeros_survive_saving_export_and_int8(
    config, student, outputs, tiny_data, tmp_path, to_int8
):
    for name in ("sparse", "onnx", "int8"):
        (tmp_path / name).mkdir()
    summary = sparsify(
        config=config, seed=0, data=tiny_data, examples=tiny_data, student=student[0],
        teacher_outputs=outputs if config.training else None, out=tmp_path / "sparse",
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "sparse").iterdir()] == ["model"]
    wanted = config.sparsity or 0.5
    assert summary["zero_weights"] == pytest.approx(wanted, abs=1e-4)
    if config.training:
        assert summary["validation_accuracy"] > 0.9
    export_onnx(out=tmp_path / "onnx", data=tiny_data, model=tmp_path / "sparse")  # proves parity
    to_int8(
        out=tmp_path / "int8", config=QuantizeConfig(calibration_examples=16),
        data=tiny_data, exported=tmp_path / "onnx",
    )  # fmt: skip
    exported = onnx.load_model(tmp_path / "onnx/model.onnx")
    quantized = onnx.load_model(tmp_path / "int8/model.onnx")
    lowered = onnx.load_model(tmp_path / "int8/model.onnx")
    lower(lowered, exported, "x86_64")
    weights = sum(linear.weight.numel() for linear in encoder_linears(model_in(tmp_path)))
    for model in (exported, quantized, lowered):
        matrices = weight_zeros(model)
        assert sum(matrix.zeros for matrix in matrices) >= round(wanted * weights)
        if config.pattern == "2:4":
            assert sum(matrix.weights for matrix in matrices if matrix.two_of_four) == weights


def model_in(folder):
    return load_model(folder / "sparse/model")


def test_zeros_of_a_dense_model_are_none_and_compress_badly(student, tiny_data, tmp_path):
    export_onnx(out=tmp_path, data=tiny_data, model=student[0])
    described = describe_zeros(tmp_path / "model.onnx", [tmp_path / "model.onnx"])
    assert described["zero_weights"] == 0.0
    assert described["two_of_four_matmuls"] == 0
    size = (tmp_path / "model.onnx").stat().st_size
    assert 0.5 * size < described["deflated_bytes"] < size


def test_a_training_that_ends_before_the_masks_are_final_is_refused(
    student, outputs, tiny_data, tmp_path
):
    with pytest.raises(ModelError, match=r"expected one after the masks are final"):
        sparsify(
            config=learning("unstructured", sparsity=0.5, reached=0.99), seed=0, data=tiny_data,
            examples=tiny_data, student=student[0], teacher_outputs=outputs, out=tmp_path,
        )  # fmt: skip


def test_inputs_that_do_not_fall_into_fours_are_refused(student, tiny_data, tmp_path):
    for name in ("pruned", "sparse"):
        (tmp_path / name).mkdir()
    prune(
        config=PruneConfig(neurons=0.48, neuron_multiple=2), seed=0, data=tiny_data,
        examples=tiny_data, student=student[0], teacher_outputs=None, out=tmp_path / "pruned",
    )  # fmt: skip
    with pytest.raises(ModelError, match="expected a multiple of 4 for the 2:4 pattern"):
        sparsify(
            config=SparsifyConfig(pattern="2:4"), seed=0, data=tiny_data, examples=tiny_data,
            student=tmp_path / "pruned", teacher_outputs=None, out=tmp_path / "sparse",
        )  # fmt: skip


SCRIPT = """
    import sys
    from pathlib import Path
    from pocketbert.compress.config import *
    from pocketbert.compress.sparsify import sparsify
    training = TrainingConfig(
        epochs=4, learning_rate=3e-3, batch_size=16, precision="float32", evaluations_per_epoch=1
    )
    config = SparsifyConfig(
        pattern="unstructured", sparsity=0.6, scores="movement", update_every=5, reached=0.6,
        objectives=ObjectivesConfig(logits=LogitsConfig(weight=1.0)), training=training,
    )
    student, outputs, data, out = map(Path, sys.argv[1:])
    sparsify(
        config=config, seed=0, data=data, examples=data, student=student, teacher_outputs=outputs,
        out=out,
    )
"""


def test_killed_between_two_choices_it_ends_with_the_same_zeros(
    student, outputs, tiny_data, whole_and_killed
):
    whole, killed, _ = whole_and_killed(SCRIPT, student[0], outputs, tiny_data)
    weights = "model/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()


def test_zeros_are_counted_by_matrix():
    def model_with(matrix, op_type="MatMul"):
        value = helper.make_tensor_value_info
        node = helper.make_node(op_type, ["x", "w"], ["y"])
        shapes = ([1, matrix.shape[0]], [1, matrix.shape[1]])
        kinds = [value(n, TensorProto.FLOAT, s) for n, s in zip("xy", shapes, strict=True)]
        weights = [numpy_helper.from_array(matrix, "w")]
        return helper.make_model(helper.make_graph([node], "g", kinds[:1], kinds[1:], weights))

    half = np.array([[1, 0], [2, 0], [0, 3], [0, 4]], dtype=np.float32)  # (inputs, outputs)
    (found,) = weight_zeros(model_with(half))
    assert (found.weights, found.zeros, found.two_of_four) == (8, 4, True)
    uneven = np.array([[1, 0], [2, 0], [3, 0], [0, 0]], dtype=np.float32)
    (found,) = weight_zeros(model_with(uneven))
    assert (found.zeros, found.two_of_four) == (5, False)
    assert weight_zeros(model_with(half, "Add")) == []

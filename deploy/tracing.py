"""From a module to a plain graph."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from .first_position import first_position_only
from .float_edits import broadcast_mask, drop_identities, fold_reshapes, repair_mask, split_gemms
from .graph import OPSET


def trace(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> ModelProto:
    """Return the graph of a module.

    Args:
        module: What is traced.
        inputs: What it is traced on.
        names: Of its inputs.
        outputs: Names of its outputs.
        axes: Names of the dimensions that vary.
    """
    with (
        torch.no_grad(),
        tempfile.TemporaryDirectory() as scratch,
        warnings.catch_warnings(),
    ):
        # About tracing and the exporter's age; what they fear is what the parity check rules out.
        warnings.simplefilter("ignore")
        path = Path(scratch) / "traced.onnx"
        torch.onnx.export(
            # .eval() on the outer module: a wrapper in training mode would export the dropout.
            module.eval(),
            inputs,
            path,
            dynamo=False,  # the new exporter's graphs stay unfused in ONNX Runtime
            opset_version=OPSET,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes={name: dict(varying) for name, varying in axes.items()},
        )
        return onnx.load_model(path)


def edit_floats(graph: ModelProto) -> dict[str, int]:
    """Make a traced graph simpler, in place; return how often each edit matched."""
    return {
        edit.__name__: edit(graph)
        for edit in (
            drop_identities,
            repair_mask,
            broadcast_mask,
            fold_reshapes,
            split_gemms,
            first_position_only,
        )
    }

"""Runs an ONNX file with ONNX Runtime on the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

from ..bundle import Target

# ONNX Runtime's fused SkipLayerNormalization is slower on a CPU than the two operators it replaces.
DISABLED_OPTIMIZERS = ("SkipLayerNormFusion",)


class OrtRunner:
    """An ONNX Runtime session.

    Args:
        path: The ONNX file.
        threads: Threads of one inference.
        disabled_optimizers: Graph optimisers of ONNX Runtime to leave out.
        optimized_path: Also write the graph that really runs to this file.
        optimize: False computes operator by operator as the file says: slow, but a reference
            that no integer kernel of the processor can falsify.

    Raises:
        BundleError: ONNX Runtime refuses the file.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        disabled_optimizers: Sequence[str] = DISABLED_OPTIMIZERS,
        optimized_path: Path | None = None,
        optimize: bool = True,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if optimized_path is not None:
            options.optimized_model_filepath = str(optimized_path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=list(disabled_optimizers),
            )
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            raise BundleError(
                f"{path} does not load ({error}), expected a model for onnxruntime "
                f"{onnxruntime.__version__} or older"
            ) from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        # Asked for by name: without names ONNX Runtime's wrapper collects them at every call.
        self._outputs = [node.name for node in self._session.get_outputs()]

    def shape_of(self, name: str) -> list[Any]:
        """Return the dimensions of an input; those that vary are names."""
        return next(list(one.shape) for one in self._session.get_inputs() if one.name == name)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        """Compute logits (batch, labels)."""
        return self.run_all(inputs)[0]

    def run_all(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Compute all outputs, in the order of the graph."""
        found: list[NDArray[np.float32]] = self._session.run(
            self._outputs, {name: inputs[name] for name in self._inputs}
        )
        return found


def open_target(root: Path, target: Target, threads: int) -> OrtRunner:
    """Open a bundle's target."""
    return OrtRunner(root / target.path, threads, target.disabled_optimizers)

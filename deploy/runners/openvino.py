"""Runs an OpenVINO model on the CPU, compiled for the lengths that its inputs are padded to.

OpenVINO is slow on shapes that change: a text alone is padded to the next of the target's lengths,
for each of which a model of fixed shape is compiled when the first such text comes. What is longer
than all of them, and batches, run on one model of any shape.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

from ..buckets import bucket_of
from ..bundle import MANIFEST, Precision, Target
from ..silent_openvino import openvino

PRECISION_HINTS: dict[Precision, str] = {
    "float32": "f32",
    "bfloat16": "bf16",
    "float16": "f16",
}
ANY_LENGTH = None


class OpenvinoRunner:
    """An OpenVINO model; may be called from several threads at once.

    Args:
        path: The model's `.xml` file, its weights beside it.
        threads: Threads of one inference.
        float_precision: Format of what is not INT8; a processor without it computes in FP32.
        lengths: Lengths in tokens that a text alone is padded to.
        cache: Folder where compiled models are kept for the next start, or None for nowhere.

    Raises:
        BundleError: OpenVINO refuses the file.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        float_precision: Precision = "float32",
        lengths: Sequence[int] = (),
        cache: Path | None = None,
    ) -> None:
        self._lengths = tuple(lengths)
        self._core = openvino.Core()
        self._properties = _properties(threads, float_precision, cache)
        try:
            self._model = self._core.read_model(path)
        except Exception as error:  # OpenVINO's exceptions share no narrower base
            raise BundleError(_refusal(path, error)) from error
        self._path = path
        self._inputs = [node.any_name for node in self._model.inputs]
        self._compiling = threading.Lock()
        self._compiled: dict[int | None, Any] = {}
        self._requests = threading.local()

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Compute logits (batch, labels)."""
        batch, tokens = inputs[self._inputs[0]].shape
        length = bucket_of(tokens, self._lengths) if batch == 1 else ANY_LENGTH
        request = self._request(length)
        # The mask hides the padding, so that any token will do.
        arrays = {name: _padded(inputs[name], length) for name in self._inputs}
        request.infer(arrays, share_inputs=True)
        logits: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        return logits

    def runtime_graph(self) -> Any:
        """The operators that really run, as OpenVINO's model of its compiled model."""
        return self._compile(max(self._lengths, default=ANY_LENGTH)).get_runtime_model()

    def _request(self, length: int | None) -> Any:
        """This thread's own request for inputs of a length; a request serves one call at a time."""
        requests: dict[int | None, Any] = vars(self._requests).setdefault("by_length", {})
        if length not in requests:
            requests[length] = self._compile(length).create_infer_request()
        return requests[length]

    def _compile(self, length: int | None) -> Any:
        with self._compiling:
            if length not in self._compiled:
                model = self._model.clone()
                if length is not ANY_LENGTH:
                    model.reshape({node: [1, length] for node in model.inputs})
                try:
                    compiled = self._core.compile_model(model, "CPU", self._properties)
                except Exception as error:  # as above
                    raise BundleError(_refusal(self._path, error)) from error
                self._compiled[length] = compiled
            return self._compiled[length]


def open_target(root: Path, target: Target, threads: int) -> OpenvinoRunner:
    """Open a bundle's target; what is compiled is kept under the hash of its weights."""
    weights = Path(target.path).with_suffix(".bin").as_posix()
    digest = json.loads((root / MANIFEST).read_text())["sha256"].get(weights, "")
    return OpenvinoRunner(
        root / target.path,
        threads,
        target.float_precision,
        target.lengths,
        cache_folder() / digest[:16],
    )


def cache_folder() -> Path:
    """Where compiled models of this user are kept (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The specification lets relative paths be ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "pocketbert" / "openvino"


def _properties(threads: int, float_precision: Precision, cache: Path | None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[float_precision],
        # Each process would pin its threads to the same first cores.
        "ENABLE_CPU_PINNING": False,
    }
    if cache is not None:
        properties["CACHE_DIR"] = str(cache)
    return properties


def _padded(array: NDArray[np.int64], length: int | None) -> NDArray[np.int64]:
    if length is ANY_LENGTH or array.shape[1] == length:
        return np.ascontiguousarray(array)
    padded = np.zeros((1, length), dtype=array.dtype)
    padded[:, : array.shape[1]] = array
    return padded


def _refusal(path: Path, error: Exception) -> str:
    reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "no reason")
    return (
        f"{path} does not load ({reason.strip()}), expected a model for openvino "
        f"{openvino.__version__} or older"
    )

"""Runs the engine of a TensorRT target that was built on this machine."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

from ..bundle import Target
from ..tensorrt_build import import_tensorrt
from ..tensorrt_engines import PLAN, cache_folder, key_of, place_here, why_no_plan
from ..tensorrt_gpu import Gpu
from ..tensorrt_profiles import MAX_BATCH, Profile


class TensorrtRunner:
    """An engine on the first GPU, with an execution context for each profile.

    Args:
        trt: The module `tensorrt`.
        gpu: Where it runs.
        plan: The engine.
        profiles: Shapes that it was built for, the narrowest first.

    Raises:
        BundleError: This GPU or this version of TensorRT does not take the plan.
    """

    def __init__(self, trt: Any, gpu: Gpu, plan: bytes, profiles: Sequence[Profile]) -> None:
        self._lock = threading.Lock()  # contexts and memory serve one call at a time
        self._gpu, self._profiles = gpu, profiles
        self._log = trt.Logger(trt.Logger.WARNING)
        runtime = trt.Runtime(self._log)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise BundleError(
                f"TensorRT {trt.__version__} does not open the engine on {gpu.name}, expected one "
                "that was built here; run `pocketbert build` with --rebuild"
            )
        self._runtime, self._engine = runtime, engine
        self._contexts = [self._context(number) for number in range(len(profiles))]
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = [engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names]
        self._inputs = [name for name, inward in zip(names, is_input, strict=True) if inward]
        self._output = next(
            name for name, inward in zip(names, is_input, strict=True) if not inward
        )
        labels = engine.get_tensor_shape(self._output)[1]
        largest = max(profile.max[0] * profile.max[1] for profile in profiles)
        self._memory = {name: gpu.allocate(largest * 8) for name in self._inputs}
        self._memory[self._output] = gpu.allocate(MAX_BATCH * labels * 4)

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Compute logits (batch, labels)."""
        batch = len(inputs["input_ids"])
        largest = self._profiles[-1].max[0]
        with self._lock:
            self._gpu.enter()
            pieces = [
                self._infer({name: inputs[name][start : start + largest] for name in self._inputs})
                for start in range(0, batch, largest)
            ]
        return np.concatenate(pieces)

    def _infer(self, inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        shape = inputs[self._inputs[0]].shape
        context = self._contexts[profile_of(shape, self._profiles)]
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        for name, array in arrays.items():
            context.set_input_shape(name, shape)
            context.set_tensor_address(name, self._memory[name])
            self._gpu.upload(self._memory[name], array)
        context.set_tensor_address(self._output, self._memory[self._output])
        logits = np.empty(tuple(context.get_tensor_shape(self._output)), dtype=np.float32)
        if not context.execute_async_v3(self._gpu.stream):
            raise BundleError(
                f"TensorRT does not run inputs of shape {shape}, expected up to "
                f"{self._profiles[-1].max}; shorten the texts or compile for longer ones"
            )
        self._gpu.download(logits, self._memory[self._output])
        return logits

    def _context(self, number: int) -> Any:
        context = self._engine.create_execution_context()
        context.set_optimization_profile_async(number, self._gpu.stream)
        return context


def open_target(root: Path, target: Target, threads: int) -> TensorrtRunner:
    """Open a bundle's target, whose engine `pocketbert build` built on this machine.

    Raises:
        BundleError: It was not built, or not here.
    """
    trt, gpu = import_tensorrt(), Gpu()
    key, cache = key_of(root, target, place_here(trt, gpu)), cache_folder()
    reason = why_no_plan(cache, key)
    if reason is not None:
        raise BundleError(f"the target {target.name} cannot be opened: {reason}")
    return TensorrtRunner(trt, gpu, (key.folder(cache) / PLAN).read_bytes(), key.profiles)


def profile_of(shape: tuple[int, ...], profiles: Sequence[Profile]) -> int:
    """Return the number of the first profile, the narrowest, that takes an input of this shape.

    Raises:
        BundleError: None does.
    """
    for number, profile in enumerate(profiles):
        if profile.takes(shape):
            return number
    raise BundleError(
        f"an input has shape {shape}, expected up to {profiles[-1].max}; shorten the texts or "
        "compile for longer ones"
    )

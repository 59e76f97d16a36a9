"""Runs a TensorRT target: builds its engine for this GPU once, then opens it from the cache."""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

from ..bundle import Target, hash_file
from ..tensorrt_build import build_engine, import_tensorrt
from ..tensorrt_gpu import Gpu
from ..tensorrt_kit import KIT, read_profiles
from ..tensorrt_profiles import MAX_BATCH, Profile

logger = logging.getLogger(__name__)


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
                "that was built here; remove it from the cache"
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
    """Open a bundle's target; its engine is built if the cache has none for this machine."""
    model = root / target.path
    profiles = read_profiles(model.with_name(KIT))
    trt, gpu = import_tensorrt(), Gpu()
    key = cache_key(gpu.name, gpu.capability, trt.__version__, hash_file(model), profiles)
    path = cache_folder() / f"{key}.plan"
    if path.exists():
        return TensorrtRunner(trt, gpu, path.read_bytes(), profiles)
    logger.info("Building the engine for %s with TensorRT %s", gpu.name, trt.__version__)
    timings = path.with_name("timing.cache")
    known = timings.read_bytes() if timings.exists() else b""
    built = build_engine(trt, model.read_bytes(), profiles, timing_cache=known)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(timings, built.timing_cache)
    _write(path, built.plan)
    return TensorrtRunner(trt, gpu, built.plan, profiles)


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


def cache_key(
    device: str, capability: str, version: str, sha256: str, profiles: Sequence[Profile]
) -> str:
    """Name an engine by all that it depends on."""
    parts = [device, capability, version, sha256, *(asdict(profile) for profile in profiles)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Folder of the engines that were built on this machine."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "pocketbert" / "tensorrt"


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)

"""Operators that really ran, with their types and times, as each runtime's own profiler says.

A profile makes every operator slower, small ones most: shares compare operators, they are no
latency. An operator's time is the median over the runs, so that what disturbs a run does not count.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketbert.deploy.bundle import Target

RUNS = 15
Inputs: TypeAlias = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator of the graph that ran.

    Attributes:
        name: In that graph.
        kind: Its type, such as `MatMulIntegerToFloat`.
        types: Number formats of what it reads, or that it computes in.
        ms: Median time.
    """

    name: str
    kind: str
    types: tuple[str, ...]
    ms: float


# (root of the bundle, target, what it reads) -> operators in the order in which they ran
Profiler: TypeAlias = Callable[[Path, Target, Inputs], list[Operator]]
PROFILERS: dict[str, str] = {
    "onnxruntime": "pocketbert.eval.doctor.operators:profile_onnxruntime",
    "openvino": "pocketbert.eval.doctor.operators:profile_openvino",
}


def profile(root: Path, target: Target, inputs: Inputs) -> list[Operator]:
    """Run a target some times and return its operators, the slowest first.

    Args:
        root: The bundle's folder.
        target: One of its targets.
        inputs: One text.
    """
    module, function = PROFILERS[target.runtime].split(":")
    profiler: Profiler = getattr(import_module(module), function)
    return sorted(profiler(root, target, inputs), key=lambda one: -one.ms)


def can_profile(runtime: str) -> bool:
    """Whether there is a profiler for a runtime; TensorRT needs a GPU to run anything."""
    return runtime in PROFILERS


def profile_onnxruntime(root: Path, target: Target, inputs: Inputs) -> list[Operator]:
    """Read ONNX Runtime's profile of kernels."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "profile")
        session = onnxruntime.InferenceSession(
            str(root / target.path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(target.disabled_optimizers),
        )
        given = {node.name: inputs[node.name] for node in session.get_inputs()}
        for _ in range(RUNS):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            # Nodes that fusions made may have no name, but each has a number.
            kernels[event["args"]["node_index"]].append(event)
    return [_from_event(events) for events in kernels.values()]


def _from_event(events: Sequence[dict[str, Any]]) -> Operator:
    about = events[0]["args"]
    return Operator(
        name=events[0]["name"].removesuffix("_kernel_time"),
        kind=about["op_name"],
        types=tuple(kind for tensor in about["input_type_shape"] for kind in tensor),
        ms=median(event["dur"] for event in events) / 1e3,
    )


def profile_openvino(root: Path, target: Target, inputs: Inputs) -> list[Operator]:
    """Read OpenVINO's performance counters."""
    import openvino

    from pocketbert.deploy.buckets import bucket_of
    from pocketbert.deploy.runners.openvino import PRECISION_HINTS

    core = openvino.Core()
    model = core.read_model(root / target.path)
    names = [node.any_name for node in model.inputs]
    tokens = inputs[names[0]].shape[1]
    length = bucket_of(tokens, target.lengths) or tokens
    model.reshape({node: [1, length] for node in model.inputs})
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[target.float_precision],
        "PERF_COUNT": True,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    given = {name: np.pad(inputs[name], ((0, 0), (0, length - tokens))) for name in names}
    times_ms, about = defaultdict(list), {}
    for _ in range(RUNS):
        request.infer(given)
        for counter in request.profiling_info:
            if counter.status == type(counter.status).EXECUTED:
                times_ms[counter.node_name].append(counter.real_time.total_seconds() * 1e3)
                about[counter.node_name] = counter
    return [
        Operator(
            name=name,
            kind=about[name].node_type,
            types=(about[name].exec_type.rpartition("_")[2].lower(),),
            ms=median(ms),
        )
        for name, ms in times_ms.items()
    ]

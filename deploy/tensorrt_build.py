"""ONNX to engine: one path for TensorRT 10.3 to 11.x and, without a GPU, for TensorRT-RTX.

The network is strongly typed: number formats come from the graph, and there is no precision flag
that one version has and another has not (11.0 removed them). `trt.Runtime` is never made to find
out whether there is a GPU: where there is none, TensorRT 8.6 ended the process with a segmentation
fault; `tensorrt_gpu.why_no_gpu` looks instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pocketbert.compress.errors import BundleError

from .tensorrt_profiles import Profile

# First version that is taken and first that is not: the API was compared with what is used here
# for 10.3.0, 10.13.3, 10.16.1, 11.0.0 and 11.4.0 (tests/deploy/tensorrt_api.json).
VERSIONS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "tensorrt": ((10, 3), (12, 0)),
    "tensorrt_rtx": ((1, 7), (1, 8)),
}
INSTALL = {
    "tensorrt": "pip install 'pocketbert[tensorrt]', or the package of the device's JetPack",
    "tensorrt_rtx": "pip install 'pocketbert[rtx]'",
}
WORKSPACE_MIB = 1024
# Share of the memory, which is the CPU's too on a Jetson: half a GiB on a board of 4 GB.
MEMORY_DIVISOR = 8


@dataclass(frozen=True, kw_only=True)
class BuiltEngine:
    """What the builder made.

    Attributes:
        plan: The engine as bytes, for this GPU and this version alone.
        timing_cache: What was measured of kernels; a later build is faster with it. May be empty.
        log: Lines of the builder's log.
    """

    plan: bytes
    timing_cache: bytes
    log: tuple[str, ...]


def import_tensorrt(package: str = "tensorrt") -> Any:
    """Import TensorRT, or TensorRT-RTX.

    Raises:
        BundleError: It is not installed, does not load, or is of an untested version.
    """
    try:
        trt = import_module(package)
    except ImportError as error:
        raise BundleError(
            f"{package} does not load ({error}), expected an installed package ({INSTALL[package]})"
        ) from error
    check_version(package, trt.__version__)
    return trt


def check_version(package: str, version: str) -> None:
    """Refuse a version outside the tested range.

    Raises:
        BundleError: It is older or newer.
    """
    first, beyond = VERSIONS[package]
    major, minor = (int(part) for part in version.split(".")[:2])
    if not first <= (major, minor) < beyond:
        raise BundleError(
            f"{package} is {version}, expected {_dotted(first)} or newer and older than "
            f"{_dotted(beyond)}; install such a version"
        )


def build_engine(
    trt: Any,
    onnx_model: bytes,
    profiles: Sequence[Profile],
    *,
    workspace_mib: int = WORKSPACE_MIB,
    timing_cache: bytes | None = None,
    compute_capability: str | None = None,
) -> BuiltEngine:
    """Build an engine.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.
        onnx_model: The typed model, with Q/DQ where INT8 is wanted.
        profiles: Shapes of the inputs, all (batch, seq).
        workspace_mib: Most memory that a kernel may take for itself.
        timing_cache: Of an earlier build, or empty; one of another GPU or version is not used.
            None keeps none, as TensorRT-RTX wants it.
        compute_capability: GPU to build for, such as "SM86"; TensorRT-RTX alone can build for
            another than this machine's.

    Raises:
        BundleError: TensorRT refuses the model.
    """
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = parse(trt, builder, logger, onnx_model)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if timing_cache is not None:
        start_timings(config, timing_cache)
    if compute_capability is not None:
        config.num_compute_capabilities = 1  # rtx-only
        capability = getattr(trt.ComputeCapability, compute_capability)  # rtx-only
        config.set_compute_capability(capability, 0)  # rtx-only
    for shapes in profiles:
        optimization_profile = builder.create_optimization_profile()
        for index in range(network.num_inputs):
            name = network.get_input(index).name
            optimization_profile.set_shape(name, shapes.min, shapes.opt, shapes.max)
        config.add_optimization_profile(optimization_profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BundleError(
            f"TensorRT {trt.__version__} builds no engine ({logger.last_error()}), expected a "
            "graph that it has kernels for; report this model"
        )
    timings = b""
    if timing_cache is not None:
        cache = config.get_timing_cache()
        timings = bytes(cache.serialize())
    return BuiltEngine(plan=bytes(plan), timing_cache=timings, log=tuple(logger.lines))


def workspace_mib(memory_bytes: int) -> int:
    """Return how much memory a kernel may take on a machine with that much."""
    return min(WORKSPACE_MIB, (memory_bytes >> 20) // MEMORY_DIVISOR)


def parse(trt: Any, builder: Any, logger: Any, onnx_model: bytes) -> Any:
    """Read an ONNX model into a strongly typed network.

    Raises:
        BundleError: The parser refuses an operator; the sentence names the node.
    """
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # always so in 11.x
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_model):
        error = parser.get_error(0)
        raise BundleError(
            f"TensorRT {trt.__version__} does not take the operator {error.node_operator()} of "
            f"the node {error.node_name()!r} ({_first_line(error.desc())}), expected operators "
            "that its ONNX parser supports; report this model"
        )
    return network


def check_parses(trt: Any, onnx_model: bytes) -> None:
    """Let the parser read a model, without building anything.

    Raises:
        BundleError: It refuses an operator.
    """
    logger = _logger(trt)
    builder = trt.Builder(logger)
    parse(trt, builder, logger, onnx_model)


def start_timings(config: Any, known: bytes) -> None:
    """Give the builder what was measured before, or an empty cache if it does not take that."""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _logger(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps what the builder says."""

        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            self.lines.append(message)
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

        def last_error(self) -> str:
            return _first_line(self.errors[-1]) if self.errors else "no reason given"

    return Log()


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(str(part) for part in version)

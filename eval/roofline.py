"""The least time that a model's products take on this machine, from what it was seen to reach.

The peaks are ONNX Runtime's own best square products, FP32 (MatMul) and INT8 (MatMulInteger,
uint8 by int8), and numpy copying an array far larger than the caches, bytes read and written. A
floor has no tokenizer, no softmax and no LayerNorm in it: no engine reaches it.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

SIZES = (256, 512, 1024)
OPSET, IR_VERSION = 17, 9
COPY_BYTES = 64 * 2**20
SECONDS_EACH = 0.1
LAST_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
# Three lengths fix a count that grows with the length and, for attention, its square.
COUNTED_LENGTHS = (4, 8, 16)
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """The fastest that a machine multiplies and moves numbers.

    Attributes:
        threads: Threads that it was measured with.
        fp32_macs_per_s: Multiply-accumulates in FP32.
        int8_macs_per_s: Multiply-accumulates in INT8.
        copy_bytes_per_s: Bytes read and written.
        last_cache_bytes: Size of the last cache; 0 where it cannot be read.
    """

    threads: int
    fp32_macs_per_s: float
    int8_macs_per_s: float
    copy_bytes_per_s: float
    last_cache_bytes: int


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one inference of a model has to do.

    Attributes:
        macs: Multiply-accumulates by length: constant, times the tokens, times their square.
        weights: Numbers in the matrices that they read.
    """

    macs: tuple[float, float, float]
    weights: int

    def macs_at(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Multiply-accumulates of texts of these lengths."""
        constant, linear, square = self.macs
        return np.asarray(constant + linear * tokens + square * tokens.astype(np.float64) ** 2)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A latency beside the least that this machine could take for the products.

    Attributes:
        macs: Multiply-accumulates, median of the timed texts.
        ms: The least time for them, median of the timed texts.
        p50_over_floor: How many times as long the engine's median takes.
    """

    macs: float
    ms: float
    p50_over_floor: float


def measure_peaks(threads: int) -> Peaks:
    """Measure this machine for a fraction of a second.

    Args:
        threads: Threads of one product.
    """
    return Peaks(
        threads=threads,
        fp32_macs_per_s=max(_gemm_macs_per_s(size, threads, int8=False) for size in SIZES),
        int8_macs_per_s=max(_gemm_macs_per_s(size, threads, int8=True) for size in SIZES),
        copy_bytes_per_s=_copy_bytes_per_s(threads),
        last_cache_bytes=_last_cache_bytes(),
    )


def least_ms(
    peaks: Peaks, macs: NDArray[np.float64], weights: int, precision: str
) -> NDArray[np.float64]:
    """Least time of inferences: their products, or their weights if no cache holds them.

    Args:
        peaks: Of this machine.
        macs: Multiply-accumulates of each.
        weights: Numbers in the matrices that they read.
        precision: Of the products with weights. What is narrower than FP32 is held against the
            INT8 peak, which a 16-bit engine cannot beat either.
    """
    peak = peaks.fp32_macs_per_s if precision == "float32" else peaks.int8_macs_per_s
    size_bytes = weights * WEIGHT_BYTES[precision]
    streamed = size_bytes > peaks.last_cache_bytes
    stream_ms = 1000 * size_bytes / peaks.copy_bytes_per_s if streamed else 0.0
    return np.maximum(1000 * macs / peak, stream_ms)


def floor_of(
    peaks: Peaks, work: Work, tokens: NDArray[np.int64], precision: str, p50_ms: float
) -> Floor | None:
    """Hold a median latency against the floor; None for a model without products.

    Args:
        peaks: Of this machine.
        work: Of the model.
        tokens: Lengths of the timed texts, shape (texts,).
        precision: Of the products with weights.
        p50_ms: The engine's median latency.
    """
    macs = work.macs_at(tokens)
    ms = float(np.median(least_ms(peaks, macs, work.weights, precision)))
    if ms == 0:
        return None
    return Floor(macs=float(np.median(macs)), ms=ms, p50_over_floor=p50_ms / ms)


def work_of(path: Path) -> Work:
    """Count what an exported FP32 graph has to do.

    Args:
        path: The ONNX file, with the inputs that the export gives it.
    """
    import onnx

    from pocketbert.deploy.graph import initializers, weight_matmuls
    from pocketbert.deploy.macs import count_macs

    graph = onnx.load_model(path)
    counts = [count_macs(graph, _inputs(length)) for length in COUNTED_LENGTHS]
    square, linear, constant = np.polyfit(COUNTED_LENGTHS, counts, 2).tolist()
    stored = initializers(graph)
    weights = sum(
        int(np.prod(stored[name].dims))
        for node in weight_matmuls(graph)
        for name in node.input
        if name in stored
    )
    return Work(macs=(constant, linear, square), weights=weights)


def _inputs(length: int) -> dict[str, NDArray[np.int64]]:
    ones = np.ones((1, length), dtype=np.int64)
    return {"input_ids": ones, "attention_mask": ones, "token_type_ids": ones * 0}


def _gemm_macs_per_s(size: int, threads: int, int8: bool) -> float:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    if int8:
        left = random.integers(0, 255, (size, size)).astype(np.uint8)
        right = random.integers(-127, 127, (size, size)).astype(np.int8)
        operator, kinds = "MatMulInteger", (TensorProto.UINT8, TensorProto.INT32)
    else:
        left, right = random.random((2, size, size), np.float32)
        operator, kinds = "MatMul", (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "gemm",
        [helper.make_tensor_value_info("left", kinds[0], (size, size))],
        [helper.make_tensor_value_info("product", kinds[1], (size, size))],
        [numpy_helper.from_array(right, "right")],  # constant, so that it is packed beforehand
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return size**3 / _best_s(lambda: session.run(None, {"left": left}))


def _copy_bytes_per_s(threads: int) -> float:
    parts = np.array_split(np.ones(COPY_BYTES, np.uint8), threads)
    copies = [np.zeros_like(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:  # numpy copies without Python's lock
        seconds = _best_s(lambda: list(pool.map(np.copyto, copies, parts)))
    return 2 * COPY_BYTES / seconds


def _best_s(run: Callable[[], object]) -> float:
    """The shortest of many times: whatever disturbs only makes them longer."""
    best_s, until_s = float("inf"), time.perf_counter() + SECONDS_EACH
    while (started_s := time.perf_counter()) < until_s:
        run()
        best_s = min(best_s, time.perf_counter() - started_s)
    return best_s


def _last_cache_bytes() -> int:
    if not LAST_CACHE.is_file():
        return 0
    return int(LAST_CACHE.read_text().strip().removesuffix("K")) * 1024

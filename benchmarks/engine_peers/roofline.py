"""The fastest that this machine multiplies and moves numbers, by libraries that do it well.

INT8 is ONNX Runtime's MatMulInteger (uint8 by int8), FP32 its MatMul, each the best of several
large shapes; bandwidth is numpy copying an array far larger
than the caches, bytes read and written.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

# Large enough to reach the peak, short enough to be over before the scheduler interrupts.
SHAPES = ((256, 768, 3072), (256, 3072, 768), (512, 1024, 1024))
OPSET = 17
COPY_BYTES = 128 * 2**20
REPEATS = 100
LAST_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


def measure_roofline(threads: int) -> dict[str, Any]:
    return {
        "threads": threads,
        "int8_macs_per_s": max(gemm_macs_per_s(shape, threads, int8=True) for shape in SHAPES),
        "fp32_macs_per_s": max(gemm_macs_per_s(shape, threads, int8=False) for shape in SHAPES),
        "copy_bytes_per_s": copy_bytes_per_s(threads),
        "last_cache_bytes": last_cache_bytes(),
    }


def floor_ms(roofline: dict[str, Any], macs: int, weights: int) -> float:
    """Least time of one INT8 inference: its products, or its weights if no cache holds them."""
    products_s = macs / roofline["int8_macs_per_s"]
    stream_s = weights / roofline["copy_bytes_per_s"]
    return 1000 * max(products_s, stream_s if weights > roofline["last_cache_bytes"] else 0.0)


def gemm_macs_per_s(shape: tuple[int, int, int], threads: int, int8: bool) -> float:
    rows, inner, columns = shape
    random = np.random.default_rng(0)
    if int8:
        left = random.integers(0, 255, (rows, inner)).astype(np.uint8)
        right = random.integers(-127, 127, (inner, columns)).astype(np.int8)
        operator, kinds = "MatMulInteger", (TensorProto.UINT8, TensorProto.INT32)
    else:
        left = random.random((rows, inner), np.float32)
        right = random.random((inner, columns), np.float32)
        operator, kinds = "MatMul", (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "gemm",
        [helper.make_tensor_value_info("left", kinds[0], (rows, inner))],
        [helper.make_tensor_value_info("product", kinds[1], (rows, columns))],
        [numpy_helper.from_array(right, "right")],  # constant, so that it is packed beforehand
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return rows * inner * columns / best_s(lambda: session.run(None, {"left": left}))


def copy_bytes_per_s(threads: int) -> float:
    parts = np.split(np.ones(COPY_BYTES, np.uint8), threads)
    copies = [np.zeros_like(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:  # numpy copies without Python's lock
        seconds = best_s(lambda: list(pool.map(np.copyto, copies, parts)))
    return 2 * COPY_BYTES / seconds


def best_s(run: Callable[[], object]) -> float:
    def once() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return min(once() for _ in range(REPEATS))


def last_cache_bytes() -> int:
    """Size of the last-level cache; 0 where it cannot be read: then weights count as streamed."""
    if not LAST_CACHE.is_file():
        return 0
    return int(LAST_CACHE.read_text().strip().removesuffix("K")) * 1024

"""Builds a bundle's TensorRT target on the machine that will run it."""

import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pocketbert.compress.errors import BundleError

from .bundle import Bundle, Target
from .selftest import selftest
from .tensorrt_build import build_engine, import_tensorrt, workspace_mib
from .tensorrt_engines import (
    Key,
    Record,
    cache_folder,
    key_of,
    place_here,
    store,
    store_timings,
    timing_cache,
    why_no_plan,
)
from .tensorrt_gpu import Gpu


def build(bundle: Bundle, target: Target, rebuild: bool, fallback: str | None) -> str:
    """Build a target's engine for this GPU unless it is there, and replay the golden texts on it.

    Args:
        bundle: A verified bundle.
        target: One of its TensorRT targets.
        rebuild: Build it also if it is there.
        fallback: Target that will run if this one does not build; goes into the record.

    Returns:
        What was done, and where the engine is.

    Raises:
        BundleError: TensorRT refuses the model, or its answers are not the golden ones.
        UserError: The disk is full.
    """
    trt, gpu = import_tensorrt(), Gpu()
    key, cache = key_of(bundle.root, target, place_here(trt, gpu)), cache_folder()
    reason = why_no_plan(cache, key)
    if reason is None and not rebuild:
        return f"{target.name} was built before: {key.folder(cache)}"
    record = build_for(
        bundle,
        target,
        key,
        trt=trt,
        cache=cache,
        workspace=workspace_mib(gpu.memory_bytes),
        fallback=fallback,
    )
    _check_golden(bundle, record, cache)
    why = f"; {reason}" if reason else ""
    return f"{target.name} was built in {record.seconds:.0f} s: {key.folder(cache)}{why}"


def build_for(
    bundle: Bundle,
    target: Target,
    key: Key,
    *,
    trt: Any,
    cache: Path,
    workspace: int,
    fallback: str | None = None,
    compute_capability: str | None = None,
) -> Record:
    """Build an engine and keep it, or keep why there is none.

    Args:
        bundle: A verified bundle.
        target: One of its TensorRT targets.
        key: What its engine depends on.
        trt: The module `tensorrt`, or `tensorrt_rtx`.
        cache: Folder of engines.
        workspace: Most memory that a kernel may take, in MiB.
        fallback: Target that will run if this one does not build.
        compute_capability: For TensorRT-RTX, which keeps no timings.

    Raises:
        BundleError: TensorRT refuses the model; the record says so.
        UserError: The disk is full; nothing is left behind.
    """
    record = Record(
        key=key,
        bundle=bundle.manifest.name,
        target=target.name,
        precision=target.precision,
        workspace_mib=workspace,
        seconds=0.0,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        fallback=fallback,
    )
    timings = None if compute_capability else timing_cache(cache, key.place)
    started_s = time.perf_counter()
    try:
        built = build_engine(
            trt,
            (bundle.root / target.path).read_bytes(),
            key.profiles,
            workspace_mib=workspace,
            timing_cache=_content(timings),
            compute_capability=compute_capability,
        )
    except BundleError as error:
        store(cache, replace(record, failure=str(error)), None)
        raise
    if timings is not None:
        store_timings(timings, built.timing_cache)
    record = replace(record, seconds=time.perf_counter() - started_s)
    return store(cache, record, built.plan)


def why_not_built(root: Path, target: Target) -> str | None:
    """Say why a target's engine cannot be opened on this machine; None if it can."""
    try:
        place = place_here(import_tensorrt(), Gpu())
    except BundleError as error:
        return str(error)
    return why_no_plan(cache_folder(), key_of(root, target, place))


def _check_golden(bundle: Bundle, record: Record, cache: Path) -> None:
    """Keep no engine that answers otherwise than the bundle says."""
    result = selftest(bundle.root, record.target)
    if result.passed:
        return
    failure = (
        f"its logits differ by {result.max_abs_difference:.3g} from the golden ones, expected at "
        f"most {result.tolerance:.3g}"
    )
    store(cache, replace(record, failure=failure), None)
    raise BundleError(failure)


def _content(timings: Path | None) -> bytes | None:
    if timings is None:
        return None
    return timings.read_bytes() if timings.exists() else b""

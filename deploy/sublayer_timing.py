"""Timing sub-layers of all widths side by side; runs on a device, without torch."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from pocketbert.compress.latency_table import LatencyCurve, LatencyTable
from pocketbert.compress.progress import Progress, progress

from .cpu import Isa, available_isas
from .graph import save_model
from .runners.ort import OrtRunner
from .sublayer_graphs import attention_graph, feed_forward_graph

# A sub-layer alone would find its weights in the nearest cache, which a whole model does not.
COPIES = 4
ROUNDS = 25
RUNS_PER_ROUND = 3
MAX_WIDTHS = 12


def time_sublayers(
    *,
    hidden_size: int,
    heads: int,
    head_size: int,
    neurons: int,
    neuron_multiple: int,
    tokens: int,
    threads: int,
    isa: Isa | None,
) -> LatencyTable:
    """Measure a latency table; all widths take turns, so that what disturbs falls on all of them.

    Args:
        hidden_size: Width of the residual stream.
        heads: Heads of an unpruned layer.
        head_size: Width of a head.
        neurons: Neurons of an unpruned layer.
        neuron_multiple: Feed-forward widths are multiples of this.
        tokens: Length of the text.
        threads: Threads of one inference.
        isa: INT8 for this instruction set; None is FP32.
    """
    head_widths = _spread(heads, 1)
    neuron_widths = _spread(neurons, neuron_multiple)
    with tempfile.TemporaryDirectory() as scratch:
        attention = [
            _open(
                attention_graph(hidden_size, width, head_size, COPIES, isa, first_only),
                scratch,
                threads,
            )
            for first_only in (False, True)
            for width in head_widths
        ]
        feed_forward = [
            _open(feed_forward_graph(hidden_size, width, COPIES, isa), scratch, threads)
            for width in neuron_widths
        ]
    text, first = _inputs(hidden_size, tokens), _inputs(hidden_size, 1)
    timed = [(session, text) for session in (*attention, *feed_forward)]
    # In the last layer the feed-forward block sees nothing but the first position.
    timed += [(session, first) for session in feed_forward]
    # Its own processor time leaves out what other processes take; several threads hide theirs.
    clock = time.thread_time if threads == 1 else time.perf_counter
    with progress("Latency table", total=ROUNDS, unit="round") as bar:
        ms = iter((_interleaved_medians(timed, clock, bar) / COPIES).tolist())
    curves = {
        name: LatencyCurve(widths, tuple(islice(ms, len(widths))))
        for name, widths in (
            ("attention", head_widths),
            ("last_attention", head_widths),
            ("feed_forward", neuron_widths),
            ("last_feed_forward", neuron_widths),
        )
    }
    return LatencyTable(
        hidden_size=hidden_size,
        head_size=head_size,
        tokens=tokens,
        threads=threads,
        precision="float32" if isa is None else "int8",
        machine=f"{isa or available_isas()[0]}, onnxruntime {onnxruntime.__version__}",
        **curves,
    )


def _spread(full: int, multiple: int) -> tuple[int, ...]:
    """Widths from 0 to `full`, evenly spread over the multiples between."""
    blocks = full // multiple
    points = np.linspace(0, blocks, min(blocks, MAX_WIDTHS) + 1).round().astype(int)
    return tuple(sorted({*(int(point) * multiple for point in points), full}))


def _open(model: ModelProto, scratch: str, threads: int) -> OrtRunner:
    path = Path(scratch) / "sublayer.onnx"
    save_model(model, path)
    return OrtRunner(path, threads)


def _inputs(hidden_size: int, tokens: int) -> dict[str, NDArray[np.float32]]:
    states = np.random.default_rng(0).standard_normal((1, tokens, hidden_size), np.float32)
    return {"states": states, "mask": np.zeros((1, 1, 1, tokens), np.float32)}


def _interleaved_medians(
    timed: Sequence[tuple[OrtRunner, Mapping[str, NDArray[np.float32]]]],
    clock: Callable[[], float],
    bar: Progress,
) -> NDArray[np.float64]:
    """Median over rounds of the fastest run in a round, in ms. Shape: (timed,)."""
    fastest_s = np.zeros((ROUNDS, len(timed)))
    for number in range(ROUNDS):
        for index, (session, inputs) in enumerate(timed):
            session.run(inputs)
            fastest_s[number, index] = min(
                _seconds(session, inputs, clock) for _ in range(RUNS_PER_ROUND)
            )
        bar.advance()
    medians: NDArray[np.float64] = 1000 * np.median(fastest_s, axis=0)
    return medians


def _seconds(
    session: OrtRunner, inputs: Mapping[str, NDArray[np.float32]], clock: Callable[[], float]
) -> float:
    started_s = clock()
    session.run(inputs)
    return clock() - started_s

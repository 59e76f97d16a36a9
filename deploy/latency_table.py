"""The latency-table stage: what attention and feed-forward of every width cost on this machine."""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.latency_table import LatencyCurve, LatencyTable, save_latency_table
from pocketbert.compress.progress import Progress, progress

from .config import CompileConfig
from .cpu import Isa, available_isas
from .graph import save_model
from .runners.ort import OrtRunner
from .sublayer_graphs import attention_graph, feed_forward_graph
from .tokenizer import Tokenizer

logger = logging.getLogger(__name__)

# A sub-layer alone would find its weights in the nearest cache, which a whole model does not.
COPIES = 4
ROUNDS = 25
RUNS_PER_ROUND = 3
MAX_WIDTHS = 12


def measure_latency_table(
    *,
    out: Path,
    data: Path,
    student: Path,
    config: CompileConfig,
    int8: bool,
    neuron_multiple: int,
) -> dict[str, Any]:
    """Time the sub-layers that a pruned student could have, and write `latency_table.json`.

    Args:
        out: Stage folder.
        data: Folder of the data stage; the timed text is as long as its median validation text.
        student: Folder of the stage that made the model to be pruned.
        config: Instruction set and threads of the engine.
        int8: Time INT8 as it will be lowered, else FP32.
        neuron_multiple: Feed-forward widths are multiples of this.

    Returns:
        The table.
    """
    isa = (available_isas()[0] if config.isa == "auto" else config.isa) if int8 else None
    shape = json.loads((student / "model" / "config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer(student / "model" / "tokenizer.json", load_description(data).max_length)
    lengths = [
        tokenizer.encode([text])["input_ids"].shape[1]
        for text in load_split(data, "validation").texts
    ]
    table = measure(
        hidden_size=shape["hidden_size"],
        heads=shape["num_attention_heads"],
        neurons=shape["intermediate_size"],
        neuron_multiple=neuron_multiple,
        tokens=int(np.median(lengths)),
        threads=config.threads,
        isa=isa,
    )
    save_latency_table(table, out / "latency_table.json")
    return json.loads((out / "latency_table.json").read_text())


def measure(
    *,
    hidden_size: int,
    heads: int,
    neurons: int,
    neuron_multiple: int,
    tokens: int,
    threads: int,
    isa: Isa | None,
) -> LatencyTable:
    """Measure a table; all widths take turns, so that what disturbs falls on all of them.

    Args:
        hidden_size: Width of the residual stream.
        heads: Heads of an unpruned layer.
        neurons: Neurons of an unpruned layer.
        neuron_multiple: Feed-forward widths are multiples of this.
        tokens: Length of the text.
        threads: Threads of one inference.
        isa: INT8 for this instruction set; None is FP32.
    """
    head_size = hidden_size // heads
    head_widths = _spread(heads, 1)
    neuron_widths = _spread(neurons, neuron_multiple)
    with tempfile.TemporaryDirectory() as scratch:
        sessions = [
            _open(attention_graph(hidden_size, width, head_size, COPIES, isa), scratch, threads)
            for width in head_widths
        ] + [
            _open(feed_forward_graph(hidden_size, width, COPIES, isa), scratch, threads)
            for width in neuron_widths
        ]
    inputs = {
        "states": np.random.default_rng(0).standard_normal((1, tokens, hidden_size), np.float32),
        "mask": np.zeros((1, 1, 1, tokens), np.float32),
    }
    # Its own processor time leaves out what other processes take; several threads hide theirs.
    clock = time.thread_time if threads == 1 else time.perf_counter
    with progress("Latency table", total=ROUNDS, unit="round") as bar:
        ms = _interleaved_medians(sessions, inputs, clock, bar) / COPIES
    return LatencyTable(
        hidden_size=hidden_size,
        head_size=head_size,
        tokens=tokens,
        threads=threads,
        precision="float32" if isa is None else "int8",
        machine=f"{isa or available_isas()[0]}, onnxruntime {onnxruntime.__version__}",
        attention=LatencyCurve(head_widths, tuple(ms[: len(head_widths)].tolist())),
        feed_forward=LatencyCurve(neuron_widths, tuple(ms[len(head_widths) :].tolist())),
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


def _interleaved_medians(
    sessions: list[OrtRunner],
    inputs: Mapping[str, NDArray[np.float32]],
    clock: Callable[[], float],
    bar: Progress,
) -> NDArray[np.float64]:
    """Median over rounds of the fastest run in a round, in ms. Shape: (sessions,)."""
    fastest_s = np.zeros((ROUNDS, len(sessions)))
    for number in range(ROUNDS):
        for index, session in enumerate(sessions):
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

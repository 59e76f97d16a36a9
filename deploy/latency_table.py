"""The latency-table stage: what attention and feed-forward of every width cost on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.latency_table import (
    LatencyTable,
    read_latency_table,
    save_latency_table,
)

from .config import CompileConfig
from .cpu import available_isas
from .sublayer_timing import time_sublayers
from .tokenizer import Tokenizer

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

    Raises:
        ModelError: The student is not BERT-shaped.
    """
    isa = (available_isas()[0] if config.isa == "auto" else config.isa) if int8 else None
    shape, about = (
        json.loads((student / "model" / name).read_text(encoding="utf-8"))
        for name in ("config.json", "pocketbert.json")
    )
    if shape["model_type"] not in ("bert", "mpnet"):  # an MPNet is pruned as a BERT
        raise ModelError(
            f"the model to be pruned is of type {shape['model_type']!r}, expected 'bert'; distil "
            "into a BERT student first (distill.student.init names a BERT checkpoint)"
        )
    said = load_description(data)
    tokenizer = Tokenizer(student / "model" / "tokenizer.json", said.max_length, said.truncation)
    lengths = [
        tokenizer.encode([text])["input_ids"].shape[1]
        for text in load_split(data, "validation").texts
    ]
    table = time_sublayers(
        hidden_size=about.get("hidden_size", shape["hidden_size"]),
        head_size=shape["hidden_size"] // shape["num_attention_heads"],
        head_widths=_spread(shape["num_attention_heads"], 1),
        neuron_widths=_spread(shape["intermediate_size"], neuron_multiple),
        tokens=int(np.median(lengths)),
        threads=config.threads,
        isa=isa,
    )
    save_latency_table(table, out / "latency_table.json")
    return asdict(table)


def measure_again(measured: Path, out: Path, threads: int | None) -> LatencyTable:
    """Time on this machine what a table of another machine has.

    Args:
        measured: The table, as the latency-table stage writes it.
        out: Gets the new one, for `prune.latency_table` of a recipe.
        threads: Threads of one inference; the table's own if not given.

    Raises:
        ModelError: The file is no latency table.
    """
    old = read_latency_table(measured)
    table = time_sublayers(
        hidden_size=old.hidden_size,
        head_size=old.head_size,
        head_widths=old.attention.widths,
        neuron_widths=old.feed_forward.widths,
        tokens=old.tokens,
        threads=threads or old.threads,
        isa=available_isas()[0] if old.precision == "int8" else None,
    )
    save_latency_table(table, out)
    return table


def _spread(full: int, multiple: int) -> tuple[int, ...]:
    """Widths from 0 to `full`, evenly spread over the multiples between."""
    blocks = full // multiple
    points = np.linspace(0, blocks, min(blocks, MAX_WIDTHS) + 1).round().astype(int)
    return tuple(sorted({*(int(point) * multiple for point in points), full}))

"""The latency table: what each sub-layer of an encoder costs on one machine, by its width.

`deploy/latency_table.py` measures it, the prune stage reads it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .errors import ModelError


@dataclass(frozen=True)
class LatencyCurve:
    """Time of one sub-layer, residual sum and LayerNorm included, by what is left of it.

    Attributes:
        widths: Heads or neurons, rising from 0.
        ms: Median time at each width.
    """

    widths: tuple[int, ...]
    ms: tuple[float, ...]

    def at(self, width: int) -> float:
        """Time at a width, on the line between its measured neighbours.

        Raises:
            ModelError: Nothing that wide was measured.
        """
        if width > self.widths[-1]:
            raise ModelError(
                f"the latency table ends at {self.widths[-1]} heads or neurons, expected {width} "
                "as in the model to be pruned; measure it anew"
            )
        return float(np.interp(width, self.widths, self.ms))


@dataclass(frozen=True)
class LatencyTable:
    """What the sub-layers of an encoder cost on one machine.

    Attributes:
        hidden_size: Width of the residual stream.
        head_size: Width of a head.
        tokens: Length of the timed text.
        threads: Threads of one inference.
        precision: "float32" or "int8".
        machine: Processor, instruction set and runtime, for people.
        attention: By heads.
        feed_forward: By neurons.
        last_attention: By heads, in the last layer, which answers for the first position only.
        last_feed_forward: By neurons, there.
    """

    hidden_size: int
    head_size: int
    tokens: int
    threads: int
    precision: str
    machine: str
    attention: LatencyCurve
    feed_forward: LatencyCurve
    last_attention: LatencyCurve
    last_feed_forward: LatencyCurve

    def curves(self, layers: int) -> tuple[list[LatencyCurve], list[LatencyCurve]]:
        """Curves of the attention and of the feed-forward sub-layer of each layer."""
        inner = layers - 1
        return (
            [self.attention] * inner + [self.last_attention],
            [self.feed_forward] * inner + [self.last_feed_forward],
        )

    def encoder_ms(self, widths: Sequence[dict[str, int]]) -> float:
        """Time of an encoder whose layers keep these heads and neurons."""
        return sum(
            attention.at(width["heads"]) + feed_forward.at(width["neurons"])
            for attention, feed_forward, width in zip(
                *self.curves(len(widths)), widths, strict=True
            )
        )


def save_latency_table(table: LatencyTable, path: Path) -> None:
    """Write a table as JSON."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(table), indent=2) + "\n")
    temporary.replace(path)


def load_latency_table(path: Path, hidden_size: int, head_size: int) -> LatencyTable:
    """Read a table that was measured for an encoder of this shape.

    Raises:
        ModelError: The file is no latency table, or one of another shape.
    """
    table = read_latency_table(path)
    if (table.hidden_size, table.head_size) != (hidden_size, head_size):
        raise ModelError(
            f"{path} was measured for hidden size {table.hidden_size} and head size "
            f"{table.head_size}, expected {hidden_size} and {head_size}; measure it anew"
        )
    return table


def read_latency_table(path: Path) -> LatencyTable:
    """Read a table of any shape.

    Raises:
        ModelError: The file is no latency table.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        curves = {
            name: LatencyCurve(tuple(found[name]["widths"]), tuple(found[name]["ms"]))
            for name in ("attention", "feed_forward", "last_attention", "last_feed_forward")
        }
        table = LatencyTable(**(found | curves))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} is no latency table ({type(error).__name__}: {error}), expected the "
            "latency_table.json that the latency-table stage writes"
        ) from error
    for name, curve in curves.items():
        rising = list(curve.widths) == sorted(set(curve.widths)) and curve.widths[:1] == (0,)
        if not rising or len(curve.ms) != len(curve.widths) or not min(curve.ms) > 0:
            raise ModelError(
                f"{path} has widths {list(curve.widths)} and times {list(curve.ms)} in {name}, "
                "expected widths rising from 0 and a time above 0 for each"
            )
    return table

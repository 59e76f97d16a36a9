"""Writes texts with ONNX Runtime on the CPU: an encoder's graph, and a decoder's beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import Target
from ..graph_files import DECODER
from ..writing import Language, Written, write
from .ort import OrtRunner


class OrtWriter:
    """Two sessions of ONNX Runtime.

    Args:
        path: The encoder's ONNX file; the decoder's lies beside it.
        **options: Those of `OrtRunner`, for both.

    Raises:
        BundleError: ONNX Runtime refuses a file.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self._encoder = OrtRunner(path, **options)
        self._decoder = OrtRunner(path.with_name(DECODER), **options)
        _, layers, two, heads, _, size = self._decoder.shape_of("written")
        self.cache_shape = layers, two, heads, size

    def read(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return keys and values of the text that is read. (batch, layers, 2, heads, seq, size)."""
        return self._encoder.run(inputs)

    def step(
        self,
        tokens: NDArray[np.int64],
        mask: NDArray[np.int64],
        read: NDArray[np.float32],
        written: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (batch, vocabulary) and the cache one token longer."""
        logits, longer = self._decoder.run_all(
            {"tokens": tokens, "attention_mask": mask, "read": read, "written": written}
        )
        return logits, longer

    def write(self, inputs: Mapping[str, NDArray[np.int64]], language: Language) -> list[Written]:
        """Write a text for each row of a batch."""
        return write(self, inputs, language)


def open_graph(path: Path, writes: bool, **options: Any) -> OrtRunner | OrtWriter:
    """Open an ONNX file, or an encoder with the decoder beside it; options are `OrtRunner`'s."""
    return OrtWriter(path, **options) if writes else OrtRunner(path, **options)


def open_target(root: Path, target: Target, threads: int) -> OrtWriter:
    """Open a bundle's target."""
    return OrtWriter(
        root / target.path, threads=threads, disabled_optimizers=target.disabled_optimizers
    )

"""Zeros among the weights of an exported or quantized model."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from .graph import constants, producers

PRODUCTS = ("MatMul", "MatMulInteger", "MatMulIntegerToFloat")


@dataclass(frozen=True)
class MatrixZeros:
    """Zeros of one weight matrix.

    Attributes:
        weights: Numbers in the matrix.
        zeros: How many of them are 0.
        two_of_four: At least two of every four along the inputs are 0.
    """

    weights: int
    zeros: int
    two_of_four: bool


def weight_zeros(model: ModelProto) -> list[MatrixZeros]:
    """Look at every matrix that is multiplied with activations, stored as float or as INT8."""
    values, writers = constants(model), producers(model)
    found = []
    for node in model.graph.node:
        if node.op_type not in PRODUCTS:
            continue
        name = node.input[1]
        if name in writers and writers[name].op_type == "DequantizeLinear":
            name = writers[name].input[0]
        if name in values:
            found.append(_zeros(values[name]))
    return found


def describe_zeros(path: Path, shipped: Iterable[Path]) -> dict[str, Any]:
    """Return what zeros there are in a model and what a compressed transfer makes of its files.

    Args:
        path: The model as ONNX.
        shipped: Files that ship, whatever their format.
    """
    matrices = weight_zeros(onnx.load_model(path))
    weights = sum(matrix.weights for matrix in matrices)
    return {
        "zero_weights": sum(matrix.zeros for matrix in matrices) / max(1, weights),
        "two_of_four_matmuls": sum(matrix.two_of_four for matrix in matrices),
        "deflated_bytes": sum(len(zlib.compress(file.read_bytes())) for file in shipped),
    }


def _zeros(matrix: NDArray[np.generic]) -> MatrixZeros:
    is_zero = matrix == 0
    inputs = matrix.shape[0]
    fours = is_zero.reshape(inputs // 4, 4, -1).sum(1) if inputs % 4 == 0 else np.zeros(1)
    return MatrixZeros(matrix.size, int(is_zero.sum()), bool((fours >= 2).all()))

"""The smooth stage: outliers move from activations into weights before both are quantized.

Xiao et al. 2022, SmoothQuant (arXiv:2211.10438): channel j of what a LayerNorm gives to products is
divided by s_j = max|X_j|^alpha / max|W_j|^(1 - alpha), and row j of their weights multiplied by it.
In a post-norm encoder the residual sum reads the same LayerNorm: there its channels are multiplied
back (Wei et al. 2022, arXiv:2209.13325, do so with LayerNorm's own gain).
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from pocketbert.compress.data import load_description
from pocketbert.compress.errors import ModelError
from pocketbert.compress.texts import Text

from .activations import activations, load_float_model, sample_texts
from .bundle import THRESHOLDS, TOKENIZER
from .graph import add_constant, drop_unused, initializers, readers, save_model
from .placement import quantizable_matmuls
from .runners.ort import OrtRunner
from .tokenizer import Tokenizer

BESIDE_THE_GRAPH = (TOKENIZER, "config.json", THRESHOLDS)
PARITY_LIMIT = 1e-4
PARITY_TEXTS = 16
SMALLEST = 1e-5  # of a maximum: a channel that is never used keeps a finite factor


def smooth(*, out: Path, alpha: float, examples: int, data: Path, exported: Path) -> dict[str, Any]:
    """Rewrite an exported model into an equal one that is easier to quantize.

    Args:
        out: Gets `model.onnx` and what stands beside it in the export stage's folder.
        alpha: Share of the difficulty that moves; 0 moves none of an outlier.
        examples: Training texts on which channels are seen.
        data: Folder of the data stage.
        exported: Folder of the export stage.

    Returns:
        `layer_norms` that were changed; `parity_max_abs`, the largest difference of a logit over
        that of the largest logit.

    Raises:
        ModelError: The new graph computes something else.
        DataError: There are no training texts.
    """
    model = load_float_model(exported / "model.onnx")
    outputs = [node.output[0] for node in smoothable(model)]
    texts = sample_texts(data, examples)
    largest = {name: np.zeros(1, dtype=np.float32) for name in outputs}
    for values in activations(exported, outputs, data, texts, "Smooth"):
        for name, value in values.items():
            seen = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            largest[name] = np.maximum(largest[name], seen)
    smooth_layer_norms(model, largest, alpha)
    save_model(model, out / "model.onnx")
    for path in (exported / name for name in BESIDE_THE_GRAPH):
        if path.is_file():
            shutil.copyfile(path, out / path.name)
    return {
        "layer_norms": len(outputs),
        "parity_max_abs": _parity(exported, out, data, texts[:PARITY_TEXTS]),
    }


def smoothable(model: ModelProto) -> list[NodeProto]:
    """LayerNorms with stored gain and bias that products with weights read."""
    stored = initializers(model)
    reading = {node.input[0] for node in quantizable_matmuls(model)}
    return [
        node
        for node in model.graph.node
        if node.op_type == "LayerNormalization"
        and node.output[0] in reading
        and len(node.input) == 3
        and {node.input[1], node.input[2]} <= stored.keys()
    ]


def smooth_layer_norms(
    model: ModelProto, largest: dict[str, NDArray[np.float32]], alpha: float
) -> None:
    """Move channels' scales, in place.

    Args:
        model: Exported float model.
        largest: Largest magnitude of each channel, (channels,), by what a LayerNorm puts out.
        alpha: Share of the difficulty that moves.
    """
    for norm in smoothable(model):
        out = norm.output[0]
        products = [node for node in quantizable_matmuls(model) if node.input[0] == out]
        scale = _factors(model, products, largest[out], alpha)
        for node in products:
            node.input[1] = _scaled(model, node.input[1], scale[:, None], out)
        _restore_elsewhere(model, norm, products, scale)
        for position in (1, 2):
            norm.input[position] = _scaled(model, norm.input[position], np.float32(1) / scale, out)
    drop_unused(model)


def _factors(
    model: ModelProto, products: list[NodeProto], largest: NDArray[np.float32], alpha: float
) -> NDArray[np.float32]:
    stored = initializers(model)
    weights = [np.abs(numpy_helper.to_array(stored[node.input[1]])) for node in products]
    of_weights = np.max([weight.max(axis=1) for weight in weights], axis=0).clip(SMALLEST)
    factors: NDArray[np.float32] = largest.clip(SMALLEST) ** alpha / of_weights ** (1 - alpha)
    return factors.clip(SMALLEST).astype(np.float32)


def _scaled(model: ModelProto, name: str, scale: NDArray[np.float32], norm: str) -> str:
    """Store a constant times a factor; one that others read as well keeps its value there."""
    new = f"{name}_smoothed_{norm}"
    if new not in initializers(model):
        add_constant(model, new, numpy_helper.to_array(initializers(model)[name]) * scale)
    return new


def _restore_elsewhere(
    model: ModelProto, norm: NodeProto, products: list[NodeProto], scale: NDArray[np.float32]
) -> None:
    """Give all but the products what the LayerNorm used to put out."""
    out = norm.output[0]
    others = [node for node in readers(model)[out] if node not in products]
    if not others:
        return
    factors = f"{norm.input[1]}_{out}_factors"  # gains that are equal share a constant
    restored = f"{factors}_restored"
    add_constant(model, factors, scale)
    for node in others:
        for index, name in enumerate(node.input):
            if name == out:
                node.input[index] = restored
    multiply = helper.make_node("Mul", [out, factors], [restored], restored)
    place = next(i for i, node in enumerate(model.graph.node) if node.output[0] == out)
    model.graph.node.insert(place + 1, multiply)


def _parity(exported: Path, out: Path, data: Path, texts: list[Text]) -> float:
    said = load_description(data)
    tokenizer = Tokenizer(out / "tokenizer.json", said.max_length, said.truncation)
    old, new = (OrtRunner(folder / "model.onnx") for folder in (exported, out))
    encoded = [tokenizer.encode([text]) for text in texts]
    pairs = [(old.run(inputs), new.run(inputs)) for inputs in encoded]
    wanted, found = (
        np.concatenate([one.reshape(-1, one.shape[-1]) for one in logits])
        for logits in zip(*pairs, strict=True)
    )
    worst = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if not worst <= PARITY_LIMIT:
        raise ModelError(
            f"the smoothed graph differs from the exported one by {worst:.2g} of the largest "
            f"logit, expected at most {PARITY_LIMIT:g}; use a smaller quantize.alpha"
        )
    return worst

"""The export stage: a PyTorch model folder becomes one plain FP32 ONNX graph."""

import inspect
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn
from transformers import EncoderDecoderModel, PreTrainedModel

from pocketbert.compress.config import TASK_KINDS, TaskKind
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_model
from pocketbert.compress.texts import Text

from .graph import save_model
from .graph_files import MODEL
from .macs import count_macs
from .runners.ort import OrtRunner
from .thresholds import write_thresholds
from .tokenizer import Tokenizer
from .tracing import edit_floats, trace
from .translator_export import export_translator

logger = logging.getLogger(__name__)

PARITY_LIMIT = 1e-4
PARITY_BATCHES = (1, 1, 2, 5, 16)


def export_onnx(*, out: Path, data: Path, model: Path) -> dict[str, Any]:
    """Export a model and prove that the graph computes what PyTorch computes.

    Args:
        out: Gets `model.onnx`, `tokenizer.json`, the `config.json` that optimum asks for, and
            `thresholds.json` where labels are given by thresholds; of a model that writes texts
            also `decoder.onnx`, the other language's tokenizer and how far is written.
        data: Folder of the data stage; the proof uses validation texts.
        model: Folder of the stage that made the model.

    Returns:
        `parity_max_abs`, the largest difference of a logit; `edits`, how often each graph edit
        matched; `bytes`, the size of the file; `macs` of a text of `macs_tokens` tokens, the median
        length of the validation texts.

    Raises:
        ModelError: The graph differs from PyTorch by more than 1e-4.
    """
    folder = model / "model"
    torch_model = load_model(folder)
    torch_model.set_attn_implementation("eager")  # SDPA leaves patterns that no runtime fuses
    description = load_description(data)
    tokenizer = Tokenizer(folder / "tokenizer.json", description.max_length, description.truncation)
    texts = load_split(data, "validation").texts

    logger.info("Tracing %s", type(torch_model).__name__)
    if isinstance(torch_model, EncoderDecoderModel):
        return export_translator(torch_model, folder, out, tokenizer, texts)
    # The same text twice: an LSTM is traced on texts that are sorted by length.
    example = tokenizer.encode(texts[:1] * 2)
    graph, edits = edited_graph(torch_model, example, TASK_KINDS[description.kind])
    save_model(graph, out / MODEL)
    middle = _of_median_length(texts, tokenizer)
    for name in ("tokenizer.json", "config.json"):
        shutil.copyfile(folder / name, out / name)
    write_thresholds(out, description, load_split(data, "validation"))
    return {
        "parity_max_abs": _parity(torch_model, out / "model.onnx", tokenizer, texts),
        "edits": edits,
        "bytes": (out / "model.onnx").stat().st_size,
        "macs": count_macs(graph, middle),
        "macs_tokens": middle["input_ids"].shape[1],
    }


def edited_graph(
    model: PreTrainedModel, example: dict[str, NDArray[np.int64]], kind: TaskKind
) -> tuple[ModelProto, dict[str, int]]:
    """Trace a model and edit its graph for the runtimes.

    Args:
        model: The model, with eager attention.
        example: Inputs that it is traced with, of any length. Shape of each: (batch, seq).
        kind: What its logits are of.

    Returns:
        The graph, and how often each edit matched.
    """
    graph = _trace(model, example, kind)
    return graph, edit_floats(graph)


class _Logits(nn.Module):
    """Fixes the order of the inputs and gives back one tensor."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def _trace(
    model: PreTrainedModel, example: dict[str, NDArray[np.int64]], kind: TaskKind
) -> ModelProto:
    inputs = _inputs_of(model, example)
    names = list(inputs)
    axes = {name: {0: "batch", 1: "seq"} for name in names}
    axes["logits"] = {0: "batch", 1: "seq"} if kind.per_word else {0: "batch"}
    return trace(_Logits(model, names), tuple(inputs.values()), names, ["logits"], axes)


def _parity(model: PreTrainedModel, path: Path, tokenizer: Tokenizer, texts: list[Text]) -> float:
    """Largest difference between PyTorch and ONNX Runtime over batches of several shapes."""
    runner = OrtRunner(path)
    worst, start = 0.0, 0
    for size in PARITY_BATCHES:
        batch = [texts[(start + row) % len(texts)] for row in range(size)]
        start += size
        inputs = tokenizer.encode(batch)
        with torch.no_grad():
            expected = model(**_inputs_of(model, inputs)).logits.numpy()
        worst = max(worst, float(np.abs(runner.run(inputs) - expected).max()))
    if not worst <= PARITY_LIMIT:
        raise ModelError(
            f"the exported graph differs from PyTorch by {worst:.2g}, expected at most "
            f"{PARITY_LIMIT:g}; report this architecture ({type(model).__name__})"
        )
    return worst


def _of_median_length(texts: list[Text], tokenizer: Tokenizer) -> dict[str, NDArray[np.int64]]:
    encoded = sorted(
        (tokenizer.encode([text]) for text in texts), key=lambda one: one["input_ids"].shape[1]
    )
    return encoded[len(encoded) // 2]


def _inputs_of(model: PreTrainedModel, inputs: dict[str, NDArray[np.int64]]) -> dict[str, Tensor]:
    parameters = inspect.signature(model.forward).parameters
    return {name: torch.from_numpy(a) for name, a in inputs.items() if name in parameters}

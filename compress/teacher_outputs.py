"""Stage: what the teacher says about every training example, computed once and memory-mapped.

Hidden states are ragged, so they lie end to end: rows `offsets[i]` to `offsets[i + 1]` belong to
example i.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from .batches import Collate, batches_by_length, tokenize
from .data import load_description, load_split
from .errors import ModelError
from .folder import load_model, load_tokenizer
from .layer_map import uniform_layers
from .progress import progress

BATCH_SIZE = 32


@dataclass(frozen=True)
class TeacherOutputs:
    """Views on the files of the stage.

    Attributes:
        logits: Shape: (examples, labels), float32.
        hidden: One (positions, layers, hidden) block per example, or None.
        hidden_size: Width of the teacher, 0 without hidden states.
    """

    logits: NDArray[np.float32]
    hidden: "RaggedRows | None"
    hidden_size: int


@dataclass(frozen=True)
class RaggedRows:
    """Blocks of rows of one memory-mapped array, read when asked for.

    Attributes:
        rows: Shape: (all positions, layers, hidden), float16.
        offsets: Shape: (examples + 1,).
    """

    rows: NDArray[np.float16]
    offsets: NDArray[np.int64]

    def __getitem__(self, index: int) -> Tensor:
        """Return one example's block as float32. Shape: (positions, layers, hidden)."""
        block = self.rows[self.offsets[index] : self.offsets[index + 1]]
        return torch.from_numpy(block.astype(np.float32))


def compute_teacher_outputs(
    *, data: Path, teacher: Path, hidden: str | None, student_layers: int, out: Path
) -> dict[str, Any]:
    """Run the teacher over the training split; an interrupted try is taken up where it stopped.

    Args:
        data: Folder of the data stage.
        teacher: Folder of the teacher stage.
        hidden: Hidden states to keep: "tokens", "first" or None.
        student_layers: Depth of the student, which decides the teacher layers kept.
        out: Stage folder.

    Returns:
        Examples, bytes and the share of training labels that the teacher gives.
    """
    model = load_model(teacher / "model")
    tokenizer = load_tokenizer(teacher / "model")
    train = load_split(data, "train")
    examples = tokenize(train, tokenizer, load_description(data).max_length)
    try:
        layers = uniform_layers(student_layers, model.config.num_hidden_layers)
    except ValueError as error:
        raise ModelError(f"the student learns from the teacher layer by layer: {error}") from error
    positions = [len(ids) if hidden == "tokens" else 1 for ids in examples.input_ids]
    offsets = np.concatenate([[0], np.cumsum(positions)]).astype(np.int64)
    labels = len(load_description(data).labels)
    logits_map = _open(out / "logits.npy", (len(examples), labels), np.float32)
    hidden_map = None
    if hidden is not None:
        np.save(out / "offsets.npy", offsets)
        shape = (int(offsets[-1]), len(layers), model.config.hidden_size)
        hidden_map = _open(out / "hidden.npy", shape, np.float16)

    record = out / "batches_done.json"
    done = json.loads(record.read_text()) if record.is_file() else 0
    batches = list(batches_by_length(examples, BATCH_SIZE))
    collate = Collate(tokenizer.pad_token_id)
    with progress("Run teacher", total=len(batches), unit="batch", done=done) as bar:
        for number in range(done, len(batches)):
            rows = batches[number]
            batch = collate([examples[row] for row in rows])
            logits, states = _forward(model, batch, layers if hidden is not None else [])
            logits_map[rows] = logits
            if hidden_map is not None:
                for row, block in zip(rows, states, strict=True):
                    hidden_map[offsets[row] : offsets[row + 1]] = block[: positions[row]]
            if number % 20 == 19:
                _flush(record, number + 1, logits_map, hidden_map)
            bar.advance()
    _flush(record, len(batches), logits_map, hidden_map)
    record.unlink()
    return {
        "examples": len(examples),
        "bytes": logits_map.nbytes + (hidden_map.nbytes if hidden_map is not None else 0),
        "training_accuracy": float((logits_map.argmax(-1) == train.labels).mean()),
        "teacher_layers": layers,
    }


def load_teacher_outputs(folder: Path) -> TeacherOutputs:
    """Memory-map what the stage wrote."""
    logits = np.load(folder / "logits.npy", mmap_mode="r")
    if not (folder / "hidden.npy").is_file():
        return TeacherOutputs(logits, None, 0)
    rows = np.load(folder / "hidden.npy", mmap_mode="r")
    return TeacherOutputs(
        logits, RaggedRows(rows, np.load(folder / "offsets.npy")), int(rows.shape[-1])
    )


@torch.inference_mode()
def _forward(
    model: Any, batch: dict[str, Tensor], layers: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    output = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        output_hidden_states=bool(layers),
    )
    states = [output.hidden_states[layer + 1] for layer in layers]
    stacked = torch.stack(states, dim=2).half().numpy() if states else np.empty(0, np.float16)
    return output.logits.numpy(), stacked


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> Any:
    if path.is_file():
        return open_memmap(path, mode="r+")
    array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # A mapped file is sparse: a full disk would otherwise kill the process while it writes.
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _flush(record: Path, batches_done: int, *maps: Any) -> None:
    for array in maps:
        if array is not None:
            array.flush()
    temporary = record.with_suffix(".tmp")
    temporary.write_text(json.dumps(batches_done))
    temporary.replace(record)

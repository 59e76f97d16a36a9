"""Stage: what the teacher says about every example, computed once and memory-mapped.

Of what is learned from: logits and the states that the objectives compare (`states.py` names them);
of the validation split: logits, against which the student's fidelity is logged, and where nothing
is labelled the states as well. States are ragged, so they lie end to end: rows `offsets[i]` to
`offsets[i + 1]` belong to example i.

Where tokens are hidden (`masking.py`) the first teacher reads the texts so, and its last states of
the hidden positions are kept as well; what its head makes of them is computed anew when it is
needed, because logits over a vocabulary are a hundred times as large.

Of further teachers only logits are kept, and averaged when they are read. The mean of logits is the
geometric mean of the teachers' probabilities (Hinton et al. 2015, section 1) at every temperature.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import (
    Collate,
    TokenizedExamples,
    answered,
    batches_by_length,
    padded,
    place_answers,
    tokenize,
)
from .config import OutputsWanted
from .data import DataDescription, Examples, load_description, load_split
from .errors import ModelError
from .folder import load_model, load_tokenizer
from .labelling import UNLABELLED
from .layer_map import states_at
from .masked_language import TeacherHead
from .masking import Masking, with_hidden_tokens
from .progress import progress
from .states import position_bias, run_with_states, state_name, state_width
from .tasks import supervised
from .tasks.task import SupervisedTask

BATCH_SIZE = 32
FURTHER = "further_teachers"
MASKED = "masked"  # the name of the last states of hidden tokens


@dataclass(frozen=True)
class RaggedRows:
    """Blocks of rows of one memory-mapped array, read when asked for.

    Attributes:
        rows: Shape: (all positions, width), float16.
        offsets: Shape: (examples + 1,).
    """

    rows: NDArray[np.float16]
    offsets: NDArray[np.int64]

    def __getitem__(self, index: int) -> Tensor:
        """Return one example's block as float32. Shape: (positions, width)."""
        block = self.rows[self.offsets[index] : self.offsets[index + 1]]
        return torch.from_numpy(block.astype(np.float32))

    @property
    def lengths(self) -> list[int]:
        """Positions of every example."""
        return [int(length) for length in np.diff(self.offsets)]


@dataclass(frozen=True)
class TeacherOutputs:
    """Views on the files of the stage.

    Attributes:
        logits: Of the training split, the teachers' mean, one row for each text, or for each word
            of one text after the other. Shape: (answers, labels), float32.
        validation_logits: The same of the validation split. Shape: (answers, labels), float32.
        layers: Depth of the first teacher.
        heads: Attention heads in each of its layers.
        states: What was kept of the first teacher on the training split, by name.
        position_bias: Added to the attention scores, or None. Shape: (heads, length, length).
        validation_states: As `states`, on the validation split, if they were wanted.
        head: What names words by the first teacher's last states, where that is learned from.
        kind: The kind of task, which says what the logits mean.
    """

    logits: NDArray[np.float32]
    validation_logits: NDArray[np.float32]
    layers: int
    heads: int
    states: dict[str, RaggedRows] = field(default_factory=dict)
    position_bias: Tensor | None = None
    validation_states: dict[str, RaggedRows] = field(default_factory=dict)
    head: TeacherHead | None = None
    kind: str = "text-classification"

    def width(self, name: str) -> int:
        """Return how wide a state is.

        Raises:
            ModelError: The state was not kept.
        """
        if name not in self.states:
            raise ModelError(
                f"the teacher's state {name} was not kept, expected it among "
                f"{', '.join(self.states) or 'none'}; run the teacher-outputs stage for these "
                "objectives"
            )
        return int(self.states[name].rows.shape[-1])


def compute_teacher_outputs(
    *,
    data: Path,
    examples: Path,
    teacher: Path,
    wanted: OutputsWanted,
    out: Path,
    further_teachers: Sequence[Path] = (),
) -> dict[str, Any]:
    """Run the teachers over what is learned from and over the validation split.

    An interrupted try is taken up where it stopped.

    Args:
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        teacher: Folder of the teacher stage.
        wanted: Which states are kept.
        out: Stage folder.
        further_teachers: Folders of further teacher stages.

    Returns:
        Examples, teachers, bytes, the share of training and validation labels that they give
        together (None where nothing is labelled), and the states kept.

    Raises:
        ModelError: The teacher has no such layer, or where its attention lies is not known.
    """
    model = load_model(teacher / "model")
    tokenizer = load_tokenizer(teacher / "model")
    description = load_description(data)
    task = supervised(description.kind)
    depth = model.config.num_hidden_layers
    names = sorted(state_name(kind, layer) for kind, layer in states_at(wanted, depth))
    train, validation = load_split(examples, "train"), load_split(data, "validation")
    splits = {"train": train, "validation": validation}
    kept = {"train": names, "validation": names if wanted.of_validation else []}
    written, read = _run_teacher(
        model,
        tokenizer,
        splits,
        description,
        kept,
        wanted.over_tokens,
        out,
        masked_fraction=wanted.masked_fraction,
    )
    further = [out / FURTHER / str(number + 1) for number in range(len(further_teachers))]
    for stage, folder in zip(further_teachers, further, strict=True):
        about = (load_model(stage / "model"), load_tokenizer(stage / "model"), splits, description)
        written += _run_teacher(*about, {}, wanted.over_tokens, folder)[0]
    _write_shape(model, description, out)
    for folder in (out, *further):
        for split in splits:
            _record(folder / split).unlink()
    return {
        "examples": len(train.texts),
        "teachers": 1 + len(further),
        "bytes": written,
        f"training_{task.metric}": _score(task, _mean_logits(out, "train"), read["train"]),
        f"validation_{task.metric}": _score(
            task, _mean_logits(out, "validation"), read["validation"]
        ),
        "states": names,
    }


def _write_shape(model: PreTrainedModel, description: DataDescription, out: Path) -> None:
    """Write what objectives must know of the first teacher beside its outputs."""
    bias = position_bias(model, description.max_length)
    if bias is not None:
        np.save(out / "position_bias.npy", bias.numpy())
    shape = {
        "layers": model.config.num_hidden_layers,
        "heads": model.config.num_attention_heads,
        "kind": description.kind,
    }
    (out / "teacher.json").write_text(json.dumps(shape))


def load_teacher_outputs(folder: Path) -> TeacherOutputs:
    """Memory-map what the stage wrote."""
    shape = json.loads((folder / "teacher.json").read_text())
    bias = folder / "position_bias.npy"
    return TeacherOutputs(
        logits=_mean_logits(folder, "train"),
        validation_logits=_mean_logits(folder, "validation"),
        layers=shape["layers"],
        heads=shape["heads"],
        states=_states(folder / "train"),
        validation_states=_states(folder / "validation"),
        position_bias=torch.from_numpy(np.load(bias)) if bias.is_file() else None,
        kind=shape.get("kind", "text-classification"),  # older folders knew no other
    )


def _states(folder: Path) -> dict[str, RaggedRows]:
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
    del arrays["logits"]
    offsets = arrays.pop("offsets")
    own = {MASKED: arrays.pop(f"{MASKED}_offsets")} if MASKED in arrays else {}
    return {name: RaggedRows(arrays[name], own.get(name, offsets)) for name in sorted(arrays)}


def _mean_logits(folder: Path, split: str) -> NDArray[np.float32]:
    """Average what every teacher said. Shape: (answers, labels)."""
    own: NDArray[np.float32] = np.load(folder / split / "logits.npy", mmap_mode="r")
    further = sorted((folder / FURTHER).glob(f"*/{split}/logits.npy"))
    if not further:
        return own
    mean: NDArray[np.float32] = np.mean([own, *map(np.load, further)], axis=0, dtype=np.float32)
    return mean


def _score(
    task: SupervisedTask, logits: NDArray[np.float32], examples: TokenizedExamples
) -> float | None:
    labels = padded([torch.tensor(one) for one in examples.labels])
    placed = place_answers(logits, examples)
    answers = padded([placed[row] for row in range(len(examples))])
    labelled = (labels.view(len(labels), -1) != UNLABELLED).any(-1)
    return task.score(answers[labelled], labels[labelled]) if labelled.any() else None


def _run_teacher(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    splits: dict[str, Examples],
    description: DataDescription,
    names: dict[str, list[str]],
    over_tokens: bool,
    folder: Path,
    masked_fraction: float | None = None,
) -> tuple[int, dict[str, TokenizedExamples]]:
    """Write logits of all splits and the states named for each; return their bytes and tokens."""
    written, read = 0, {}
    for split, texts in splits.items():
        kept = names.get(split, [])
        tokenized = tokenize(texts, tokenizer, description.max_length, description.truncation)
        if masked_fraction is not None:
            tokenized = with_hidden_tokens(tokenized, Masking.of(tokenizer, masked_fraction))
        read[split] = tokenized
        (folder / split).mkdir(parents=True, exist_ok=True)
        written += _keep_outputs(model, tokenizer, tokenized, kept, over_tokens, folder / split)
    return written, read


def _keep_outputs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: TokenizedExamples,
    names: list[str],
    over_tokens: bool,
    folder: Path,
) -> int:
    """Write logits and states of one split and return their bytes."""
    labels: Any = model.config.num_labels  # the library's type allows None
    per_word = answered(examples)
    answers = _Places([np.array(one, dtype=np.int64) for one in per_word]) if per_word else None
    n_answers = int(answers.offsets[-1]) if answers else len(examples)
    files = {"logits": _open(folder, "logits", (n_answers, labels), "f4")}
    tokens = _Places([np.arange(len(ids) if over_tokens else 1) for ids in examples.input_ids])
    np.save(folder / "offsets.npy", tokens.offsets)
    kept = {name: (name, tokens) for name in names}
    if "masked_positions" in examples.extras:
        hidden = _Places([positions.numpy() for positions in examples.extras["masked_positions"]])
        np.save(folder / f"{MASKED}_offsets.npy", hidden.offsets)
        kept[MASKED] = state_name("hidden", model.config.num_hidden_layers - 1), hidden
    for name, (state, places) in kept.items():
        shape = (int(places.offsets[-1]), state_width(model, state))
        files[name] = _open(folder, name, shape, "f2")

    record = _record(folder)
    done = json.loads(record.read_text()) if record.is_file() else 0
    batches = list(batches_by_length(examples, BATCH_SIZE))
    collate = Collate(tokenizer.pad_token_id)
    title = f"Run teacher ({folder.name})"
    asked = {state for state, _ in kept.values()}
    with (
        progress(title, total=len(batches), unit="batch", done=done) as bar,
        torch.inference_mode(),
    ):
        for number in range(done, len(batches)):
            rows = batches[number]
            batch = collate([examples[row] for row in rows])
            found = run_with_states(model, batch, asked)
            if answers is None:
                files["logits"][rows] = found.logits.numpy()
            else:
                for row, logits in zip(rows, found.logits.numpy(), strict=True):
                    answers.of(row, files["logits"])[:] = logits[answers.positions[row]]
            for name, (state, places) in kept.items():
                states = found.states[state].half().numpy()
                for row, block in zip(rows, states, strict=True):
                    places.of(row, files[name])[:] = block[places.positions[row]]
            if number % 20 == 19:
                _flush(record, number + 1, files)
            bar.advance()
    _flush(record, len(batches), files)
    return sum(array.nbytes for array in files.values())


@dataclass(frozen=True)
class _Places:
    """Which positions of every example are kept.

    Attributes:
        positions: Of each example. Shape: (positions,).
    """

    positions: list[NDArray[np.int64]]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the block of each example begins. Shape: (examples + 1,)."""
        return np.cumsum([0, *map(len, self.positions)])

    def of(self, row: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Return an example's block of all rows, to be written to."""
        return rows[self.offsets[row] : self.offsets[row + 1]]


def _open(folder: Path, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    path = folder / f"{name}.npy"
    if path.is_file():
        return open_memmap(path, mode="r+")
    array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # A mapped file is sparse: a full disk would otherwise kill the process while it writes.
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _record(folder: Path) -> Path:
    return folder / "batches_done.json"


def _flush(record: Path, batches_done: int, files: dict[str, Any]) -> None:
    for array in files.values():
        array.flush()
    temporary = record.with_suffix(".tmp")
    temporary.write_text(json.dumps(batches_done))
    temporary.replace(record)

"""Stage: remove layers, dimensions, heads and neurons, then recover by distillation if asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from .batches import Collate, tokenize_split
from .config import PruneConfig
from .data import load_description
from .folder import load_description as load_model_description
from .folder import load_model, load_tokenizer, save_model
from .layer_drop import drop_layers
from .learned_scores import learn_scores
from .lesson import Lesson, learn_from_teacher
from .relative_bias import as_bert
from .shrink import shrink
from .summary import summarize
from .surgery import hidden_width, widths_of
from .tasks import supervised
from .teacher_outputs import load_teacher_outputs
from .training import forget_checkpoints
from .untrained import untrained

BATCH_SIZE = 32


def prune(
    *,
    config: PruneConfig,
    seed: int,
    data: Path,
    examples: Path,
    student: Path,
    teacher_outputs: Path | None,
    latency_table: Path | None = None,
    out: Path,
) -> dict[str, Any]:
    """Prune the student by importance or learned scores, recover it and write `out/model`.

    Args:
        config: How much goes and how long recovery takes.
        seed: Choice of the examples for importance, order of batches, dropout and gates.
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        student: Folder of the stage that trained the student.
        teacher_outputs: Folder of the teacher-outputs stage, which scores and recovery learn from.
        latency_table: Folder of the latency-table stage, unless the config names a file.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        The summary of a training stage, that of learning scores if they are learned, the widths
        that each layer kept, and that of the residual stream.

    Raises:
        ModelError: The student is not BERT-shaped, has fewer units than a block, or cannot be made
            as fast as asked.
    """
    model = as_bert(load_model(student / "model"))
    tokenizer = load_tokenizer(student / "model")
    batches = _sample(data, tokenizer, config.importance_examples, seed)
    table_file = latency_table / "latency_table.json" if latency_table else config.latency_table
    task = supervised(load_description(data).kind)
    drop_layers(model, batches, config.layers, task)
    lesson = None
    if teacher_outputs:
        lesson = Lesson(seed, data, examples, load_teacher_outputs(teacher_outputs))
    learned = None
    if config.scores:
        assert lesson is not None
        learned = learn_scores(model, tokenizer, config, lesson, out / "scores")
    shrink(model, batches, config, Path(table_file) if table_file else None, learned, task)
    widths, hidden_size = widths_of(model), hidden_width(model)
    if config.training and config.objectives:
        assert lesson is not None
        result, validation_size = learn_from_teacher(
            model, tokenizer, config.objectives, config.training, lesson, out=out, title="Recover"
        )
    else:
        result, validation_size = untrained(model, tokenizer, data)
    description = replace(load_model_description(student / "model"), widths=widths, thresholds=())
    if config.hidden:
        description = replace(description, hidden_size=hidden_size)
    save_model(model, tokenizer, description, out / "model")
    if config.training:
        forget_checkpoints(out / "checkpoints")
    if config.scores:
        forget_checkpoints(out / "scores")
    said = {"scores": learned.summary} if learned else {}
    shape = {"widths": widths, "hidden_size": hidden_size}
    return summarize(model, result, validation_size) | said | shape


def _sample(
    data: Path, tokenizer: PreTrainedTokenizerBase, count: int, seed: int
) -> list[dict[str, Tensor]]:
    """Draw training texts, as padded batches."""
    everything = tokenize_split(data, "train", tokenizer, data)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(everything), generator=generator)[:count].tolist()
    rows.sort(key=lambda row: len(everything.input_ids[row]))
    collate = Collate(tokenizer.pad_token_id)
    return [
        collate([everything[row] for row in rows[start : start + BATCH_SIZE]])
        for start in range(0, len(rows), BATCH_SIZE)
    ]

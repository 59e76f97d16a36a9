"""Stage: remove heads and neurons for good, then recover by distillation."""

from pathlib import Path
from typing import Any

import torch

from .batches import tokenize
from .config import PruneConfig
from .data import load_description, load_split
from .distill import learn_from_teacher
from .errors import ModelError
from .folder import ModelDescription, load_model, load_tokenizer, save_model
from .importance import fisher_importance, keep_best_blocks
from .summary import summarize
from .surgery import bert_layers, keep_heads, keep_neurons, widths_of
from .teacher_outputs import load_teacher_outputs
from .training import forget_checkpoints


def prune(
    *,
    config: PruneConfig,
    seed: int,
    data: Path,
    examples: Path,
    student: Path,
    teacher_outputs: Path,
    out: Path,
) -> dict[str, Any]:
    """Prune the student by importance, recover it and write `out/model`.

    Args:
        config: How much goes and how long recovery takes.
        seed: Choice of the examples for importance, order of batches and dropout.
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        student: Folder of the stage that trained the student.
        teacher_outputs: Folder of the teacher-outputs stage.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        The summary of a training stage, and the widths that each layer kept.

    Raises:
        ModelError: The student is not BERT-shaped or has fewer units than a block.
    """
    description = load_description(data)
    model = load_model(student / "model")
    tokenizer = load_tokenizer(student / "model")
    outputs = load_teacher_outputs(teacher_outputs)
    train = tokenize(load_split(examples, "train"), tokenizer, description.max_length)
    train.extras = {"teacher_logits": torch.from_numpy(outputs.logits.copy())}
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(train), generator=generator)[: config.importance_examples]
    heads, neurons = fisher_importance(model, train, rows.tolist(), tokenizer)
    try:
        kept_heads = keep_best_blocks(heads, 1 - config.heads, block=1)
        kept_neurons = keep_best_blocks(neurons, 1 - config.neurons, config.neuron_multiple)
    except ValueError as error:
        raise ModelError(f"prune.neuron_multiple is {config.neuron_multiple}: {error}") from error
    for layer, head_numbers, neuron_numbers in zip(
        bert_layers(model), kept_heads, kept_neurons, strict=True
    ):
        keep_heads(layer, head_numbers)
        keep_neurons(layer, neuron_numbers)
    result, validation_size = learn_from_teacher(
        model,
        tokenizer,
        config.objectives,
        config.training,
        seed=seed,
        data=data,
        examples=examples,
        teacher_outputs=outputs,
        out=out,
        title="Recover",
    )
    widths = widths_of(model)
    save_model(
        model,
        tokenizer,
        ModelDescription(description.labels, description.max_length, widths),
        out / "model",
    )
    forget_checkpoints(out / "checkpoints")
    return summarize(model, result, validation_size) | {"widths": widths}

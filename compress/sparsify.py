"""Stage: make single weights zero, all at once or while the student learns from its teacher."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from .config import SparsifyConfig
from .errors import ModelError
from .folder import load_description, load_model, load_tokenizer, save_model
from .lesson import Lesson, learn_from_teacher
from .relative_bias import as_bert
from .sparse_masks import (
    ChooseMasks,
    add_masks,
    choose_masks,
    encoder_linears,
    make_permanent,
    sparsity_at,
)
from .summary import summarize
from .surgery import BertClassifier
from .teacher_outputs import load_teacher_outputs
from .training import forget_checkpoints
from .untrained import untrained


def sparsify(
    *,
    config: SparsifyConfig,
    seed: int,
    data: Path,
    examples: Path,
    student: Path,
    teacher_outputs: Path | None,
    out: Path,
) -> dict[str, Any]:
    """Make weights of the encoder's matrices zero and write `out/model`.

    Args:
        config: Pattern, amount and training.
        seed: Order of batches and dropout.
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        student: Folder of the stage that trained the student.
        teacher_outputs: Folder of the teacher-outputs stage, which the training learns from.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        The summary of a training stage, and the fraction of the matrices' weights that are zero in
        the saved model.

    Raises:
        ModelError: The model is not BERT-shaped, or its matrices cannot have the pattern.
    """
    model = as_bert(load_model(student / "model"))
    tokenizer = load_tokenizer(student / "model")
    _check_fours(model, config)
    linears = add_masks(model)
    if config.training and config.objectives:
        assert teacher_outputs is not None
        result, validation_size = learn_from_teacher(
            model,
            tokenizer,
            config.objectives,
            config.training,
            Lesson(seed, data, examples, load_teacher_outputs(teacher_outputs)),
            out=out,
            title="Sparsify",
            callbacks=[ChooseMasks(linears, config)],
        )
    else:
        choose_masks(linears, config, sparsity_at(1.0, config))
        result, validation_size = untrained(model, tokenizer, data)
    make_permanent(linears)
    description = replace(load_description(student / "model"), thresholds=())
    save_model(model, tokenizer, description, out / "model")
    zeros = _zeros_of(load_model(out / "model"))
    if config.training:
        forget_checkpoints(out / "checkpoints")
    return summarize(model, result, validation_size) | {"zero_weights": zeros}


def _check_fours(model: BertClassifier, config: SparsifyConfig) -> None:
    odd = [m for m in encoder_linears(model) if m.in_features % 4]
    if config.pattern == "2:4" and odd:
        raise ModelError(
            f"a matrix has {odd[0].in_features} inputs, expected a multiple of 4 for the 2:4 "
            "pattern; set prune.neuron_multiple and prune.hidden_multiple to one"
        )


def _zeros_of(model: BertClassifier) -> float:
    weights = [linear.weight.detach() for linear in encoder_linears(model)]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)

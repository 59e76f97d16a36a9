"""Stage: let the student learn while it sees its weights and activations in INT8."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .batches import Collate, TokenizedExamples, tokenize_split
from .config import QatConfig
from .fake_quantization import FollowRanges, add_rounding, remove_rounding, set_stage
from .folder import load_description, load_model, load_tokenizer, save_model
from .lesson import Lesson, learn_from_teacher
from .relative_bias import as_bert
from .states import model_inputs
from .summary import summarize
from .teacher_outputs import load_teacher_outputs
from .training import forget_checkpoints
from .untrained import untrained


def train_quantized(
    *,
    config: QatConfig,
    seed: int,
    data: Path,
    examples: Path,
    student: Path,
    teacher_outputs: Path,
    int8_check: Path | None = None,
    out: Path,
) -> dict[str, Any]:
    """Train with rounded weights and activations; write the float weights behind as `out/model`.

    As a fallback (`only_below`) a model that INT8 does no harm is written as it is.

    What is exported and quantized afterwards is this model; its ranges are calibrated anew, on the
    weights that the training ended with.

    Args:
        config: Bits, objectives and training.
        seed: Choice of the texts that ranges are measured on, order of batches and dropout.
        data: Folder of the data stage.
        examples: Folder whose train.jsonl is learned from: the data or the transfer stage's.
        student: Folder of the stage that trained the student.
        teacher_outputs: Folder of the teacher-outputs stage.
        int8_check: Folder of the check-int8 stage, which `only_below` decides on.
        out: Stage folder; may hold the checkpoints of an interrupted try.

    Returns:
        The summary of a training stage, whose accuracy and agreement are those of the rounded
        model, how many matrices were rounded (0 where no training was needed), and which share of
        the accuracy INT8 kept without it, if that was asked.

    Raises:
        ModelError: The objectives do not fit this student and teacher.
    """
    model = as_bert(load_model(student / "model"))
    tokenizer = load_tokenizer(student / "model")
    description = replace(load_description(student / "model"), thresholds=())
    checked = json.loads((int8_check / "int8_check.json").read_text()) if int8_check else {}
    if config.only_below is not None and checked["int8_kept"] >= config.only_below:
        save_model(model, tokenizer, description, out / "model")
        result, validation_size = untrained(model, tokenizer, data)
        return summarize(model, result, validation_size) | {"rounded_matmuls": 0} | checked
    linears = add_rounding(model, config.weight_bits)
    measure_ranges(model, tokenizer, linears, _sample(config, seed, data, tokenizer))
    result, validation_size = learn_from_teacher(
        model,
        tokenizer,
        config.objectives,
        config.training,
        Lesson(seed, data, examples, load_teacher_outputs(teacher_outputs)),
        out=out,
        title="Train in INT8",
        callbacks=[FollowRanges(linears)],
    )
    remove_rounding(linears)
    save_model(model, tokenizer, description, out / "model")
    forget_checkpoints(out / "checkpoints")
    return summarize(model, result, validation_size) | {"rounded_matmuls": len(linears)} | checked


def _sample(
    config: QatConfig, seed: int, data: Path, tokenizer: PreTrainedTokenizerBase
) -> TokenizedExamples:
    train = tokenize_split(data, "train", tokenizer, data)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(train), generator=generator)[: config.calibration_examples].tolist()
    return train.some(rows)


@torch.inference_mode()
def measure_ranges(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    linears: list[nn.Linear],
    examples: TokenizedExamples,
) -> None:
    """Feed one text at a time: padding must not enter a range."""
    collate = Collate(tokenizer.pad_token_id)
    for row in range(len(examples)):
        batch = collate([examples[row]])
        model(**model_inputs(model, batch))
    set_stage(linears, "fixed")

"""Exporting a model that writes texts: an encoder's graph and a decoder's, proved together."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import EncoderDecoderModel

from pocketbert.compress.errors import ModelError
from pocketbert.compress.generation import GENERATION
from pocketbert.compress.target_tokenizer import TARGET_TOKENIZER
from pocketbert.compress.texts import Text

from .graph import save_model
from .graph_files import DECODER, MODEL
from .macs import count_macs
from .runners.eager_writer import EagerWriter
from .runners.ort_writer import OrtWriter
from .tokenizer import Tokenizer
from .tracing import edit_floats, trace
from .translator_graphs import DECODER_INPUTS, ENCODER_INPUTS, Encoder, Step
from .writing import Language

PARITY_LIMIT = 1e-4
PARITY_BATCHES = (1, 1, 2, 5, 16)
FILES = ("tokenizer.json", "config.json", TARGET_TOKENIZER, GENERATION)
CACHE = {0: "batch", 4: "written"}
READ = {0: "batch", 4: "seq"}
TEXTS = {0: "batch", 1: "seq"}


def export_translator(
    model: EncoderDecoderModel,
    folder: Path,
    out: Path,
    tokenizer: Tokenizer,
    texts: Sequence[Text],
) -> dict[str, Any]:
    """Write both graphs; what is returned and raised is as `export_onnx` says.

    `macs` are those of reading the text and of one step.

    Args:
        model: In eval mode.
        folder: Its model folder.
        out: Folder of the export stage.
        tokenizer: Of the language that is read.
        texts: Of the validation split, for the proof.
    """
    encoded = tokenizer.encode(texts[:2])
    ids, mask = (torch.from_numpy(encoded[name]) for name in ENCODER_INPUTS)
    encoder, step = Encoder(model), Step(model)
    reading = trace(
        encoder,
        (ids, mask),
        ENCODER_INPUTS,
        ["read"],
        dict.fromkeys(ENCODER_INPUTS, TEXTS) | {"read": READ},
    )
    with torch.no_grad():
        read = encoder(ids, mask)
    stepping = _step_inputs(model, mask, read)
    axes = {"tokens": {0: "batch"}, "attention_mask": TEXTS, "read": READ, "written": CACHE}
    writing = trace(
        step,
        stepping,
        DECODER_INPUTS,
        ["logits", "longer"],
        axes | {"logits": {0: "batch"}, "longer": CACHE},
    )
    edits: Counter[str] = Counter()
    for name, graph in ((MODEL, reading), (DECODER, writing)):
        edits.update(edit_floats(graph))
        save_model(graph, out / name)
    for name in FILES:
        shutil.copyfile(folder / name, out / name)
    of_step = {name: one.numpy()[:1] for name, one in zip(DECODER_INPUTS, stepping, strict=True)}
    middle = sorted((tokenizer.encode([text]) for text in texts), key=_tokens)[len(texts) // 2]
    return {
        "parity_max_abs": _parity(model, folder, out, tokenizer, texts),
        "edits": dict(edits),
        "bytes": sum((out / name).stat().st_size for name in (MODEL, DECODER)),
        "macs": count_macs(reading, middle) + count_macs(writing, of_step),
        "macs_tokens": _tokens(middle),
    }


def _tokens(encoded: dict[str, NDArray[np.int64]]) -> int:
    return int(encoded["input_ids"].shape[1])


def _step_inputs(
    model: EncoderDecoderModel, mask: Tensor, read: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what a decoder is traced on: some tokens stand in the cache."""
    config: Any = model.config.decoder
    heads = config.num_attention_heads
    shape = (len(mask), config.num_hidden_layers, 2, heads, 3, config.hidden_size // heads)
    tokens = torch.full((len(mask), 1), config.bos_token_id)
    return tokens, mask, read, torch.zeros(shape)


@torch.inference_mode()
def _parity(
    model: EncoderDecoderModel,
    folder: Path,
    out: Path,
    tokenizer: Tokenizer,
    texts: Sequence[Text],
) -> float:
    """Write texts with both graphs and with transformers; the tokens have to be the same.

    Returns:
        Largest difference of a score, the mean log-probability of a text's tokens.
    """
    ours, theirs, language = OrtWriter(out / MODEL), EagerWriter(folder), Language.open(folder)
    worst, start = 0.0, 0
    for size in PARITY_BATCHES:
        batch = [texts[(start + row) % len(texts)] for row in range(size)]
        start += size
        inputs = tokenizer.encode(batch)
        both = zip(ours.write(inputs, language), theirs.write(inputs, language), strict=True)
        for text, (mine, expected) in zip(batch, both, strict=True):
            difference = abs(mine.score - expected.score)
            if mine.ids != expected.ids or not difference <= PARITY_LIMIT:
                raise ModelError(
                    f"the exported graphs write {mine} for {text!r} where PyTorch writes "
                    f"{expected}, expected the same tokens and scores within {PARITY_LIMIT:g}; "
                    f"report this architecture ({type(model).__name__})"
                )
            worst = max(worst, difference)
    return worst

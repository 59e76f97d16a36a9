"""Stage: what the teacher writes for every training text, for a student to learn.

Sequence-level knowledge distillation (Kim and Rush 2016, section 3.2): the likeliest translation
that the teacher's beam search finds stands for all that it might write. It is simpler than what
people wrote, which a small student cannot follow in every turn.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from .batches import Collate, TokenizedExamples, batches_by_length
from .data import load_description, write_text
from .progress import progress
from .translator import Translator, open_translator

TRANSLATIONS = "translations.jsonl"  # a line a training text: the tokens, with the end
BATCH_SIZE = 32


def translate_with_teacher(*, beams: int, data: Path, teacher: Path, out: Path) -> dict[str, Any]:
    """Write `translations.jsonl`.

    Args:
        beams: Beginnings that the teacher follows at once.
        data: Folder of the data stage.
        teacher: Folder of the teacher stage.
        out: Stage folder.

    Returns:
        How many texts there are, and the share whose translation is the right one token by token.
    """
    translator = open_translator(teacher / "model")
    examples = translator.examples(data, "train")
    most = load_description(data).max_length
    written: list[list[int]] = [[]] * len(examples)
    with progress("Translate", total=len(examples), unit="text") as shown:
        for batch in batches_by_length(examples, BATCH_SIZE):
            for row, ids in zip(
                batch, _translated(translator, examples, batch, beams, most), strict=True
            ):
                written[row] = ids
            shown.advance(len(batch))
    write_text(out / TRANSLATIONS, "".join(json.dumps(ids) + "\n" for ids in written))
    right = sum(ours == theirs for ours, theirs in zip(written, examples.labels, strict=True))
    return {"texts": len(written), "right": right / len(written)}


def read_translations(folder: Path) -> list[list[int]]:
    """Read the tokens that the teacher wrote for each training text."""
    return [json.loads(line) for line in (folder / TRANSLATIONS).read_text().splitlines()]


@torch.inference_mode()
def _translated(
    translator: Translator,
    examples: TokenizedExamples,
    batch: Sequence[int],
    beams: int,
    most: int,
) -> list[list[int]]:
    """Return the tokens of a batch's translations, none behind the end."""
    target, model = translator.target, translator.model
    pad_id: Any = translator.source.pad_token_id
    inputs = Collate(pad_id)([examples[row] for row in batch])
    config = GenerationConfig(
        max_new_tokens=most,
        num_beams=beams,
        do_sample=False,
        pad_token_id=target.pad_id,
        eos_token_id=target.end_id,
        decoder_start_token_id=target.start_id,
    )
    generate: Any = model.eval().generate
    found = generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        generation_config=config,
    )
    rows = [ids[1:] for ids in found.tolist()]  # behind the start
    return [ids[: ids.index(target.end_id) + 1] if target.end_id in ids else ids for ids in rows]

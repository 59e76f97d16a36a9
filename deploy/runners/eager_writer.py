"""Writes texts with transformers' own `generate`: the baseline that engines are compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import EncoderDecoderModel, GenerationConfig

from pocketbert.compress.folder import load_model

from ..writing import Language, Written


class EagerWriter:
    """transformers as it is used without any deployment, in float32.

    Args:
        model_folder: The model folder.
        threads: Threads of one inference; PyTorch keeps one number for the whole process.
    """

    def __init__(self, model_folder: Path, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        model = load_model(model_folder)
        assert isinstance(model, EncoderDecoderModel)
        self._model: Any = model

    def write(self, inputs: Mapping[str, NDArray[np.int64]], language: Language) -> list[Written]:
        """Write a text for each row of a batch."""
        if len(inputs["input_ids"]) == 0:
            return []
        ends = language.tokenizer
        config = GenerationConfig(
            max_new_tokens=language.generation.max_tokens,
            num_beams=language.generation.beams,
            do_sample=False,
            pad_token_id=ends.pad_id,
            eos_token_id=ends.end_id,
            decoder_start_token_id=ends.start_id,
            return_dict_in_generate=True,
            output_scores=True,
        )
        with torch.inference_mode():
            found = self._model.generate(
                input_ids=torch.from_numpy(inputs["input_ids"]),
                attention_mask=torch.from_numpy(inputs["attention_mask"]),
                generation_config=config,
            )
            beams = getattr(found, "beam_indices", None)
            sums = self._model.compute_transition_scores(
                found.sequences, found.scores, beams, normalize_logits=beams is None
            )
        rows = zip(found.sequences[:, 1:], sums, strict=True)
        return [_written(tokens, chances, ends.end_id) for tokens, chances in rows]


def _written(tokens: Tensor, chances: Tensor, end_id: int) -> Written:
    ids = tokens.tolist()
    length = ids.index(end_id) + 1 if end_id in ids else len(ids)
    return Written(tuple(ids[:length]), float(chances[:length].double().mean()))

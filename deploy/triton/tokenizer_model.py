"""Python backend of Triton: texts to the tensors that the engine reads.

`repository` copies this file as `model.py`. There it has numpy, tokenizers and Triton's own module
and nothing of pocketbert. Padding and truncation stand in the tokenizer.json beside it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton
from tokenizers import Tokenizer


class TritonPythonModel:
    """Called by Triton."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Open the tokenizer."""
        file = Path(args["model_repository"]) / args["model_version"] / "tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(file))
        outputs = json.loads(args["model_config"])["output"]
        self._outputs = [output["name"] for output in outputs]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Tokenise `text` (n, 1) of all requests to one length, so that the engine batches them."""
        texts = [triton.get_input_tensor_by_name(each, "text").as_numpy() for each in requests]
        flat = [text.decode("utf-8", "replace") for each in texts for text in each.ravel()]
        encodings = self._tokenizer.encode_batch(flat)
        arrays = {
            "input_ids": np.array([each.ids for each in encodings], dtype=np.int64),
            "attention_mask": np.array([each.attention_mask for each in encodings], dtype=np.int64),
            "token_type_ids": np.array([each.type_ids for each in encodings], dtype=np.int64),
        }
        ends = np.cumsum([len(each) for each in texts])
        return [
            triton.InferenceResponse(
                [triton.Tensor(name, arrays[name][end - len(each) : end]) for name in self._outputs]
            )
            for each, end in zip(texts, ends, strict=True)
        ]

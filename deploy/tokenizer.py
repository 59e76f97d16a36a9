"""The tokenizer that ships in the bundle."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

PAD_TOKENS = ("[PAD]", "<pad>")


class Tokenizer:
    """Turns texts into the arrays that a model reads.

    What the file says about truncation and padding is replaced by what the engine needs.

    Args:
        path: `tokenizer.json`.
        max_length: Longest input in tokens, special tokens included; the tail is cut off.

    Raises:
        BundleError: The file is no tokenizer, or has no padding token.
    """

    def __init__(self, path: Path, max_length: int) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise BundleError(
                f"{path} does not load ({error}), expected a tokenizer.json of the tokenizers "
                "library"
            ) from error
        self.pad_id = _pad_id(self._tokenizer, path)
        self.max_length = max_length
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Tokenise a batch, padded at the end to its longest text.

        Returns:
            `input_ids`, `attention_mask` and `token_type_ids`, each (batch, seq).
        """
        # One text at a time: encode_batch starts a thread pool, twice as slow for a single text.
        encodings = [self._tokenizer.encode(text) for text in texts]
        shape = (len(encodings), max((len(encoding.ids) for encoding in encodings), default=0))
        input_ids = np.full(shape, self.pad_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            input_ids[row, :length] = encoding.ids
            attention_mask[row, :length] = 1
            token_type_ids[row, :length] = encoding.type_ids
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }


def _pad_id(tokenizer: tokenizers.Tokenizer, path: Path) -> int:
    # A model may derive positions from the padding id (RoBERTa, MPNet): a guess would be wrong.
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    for token in PAD_TOKENS:
        number = tokenizer.token_to_id(token)
        if number is not None:
            return int(number)
    raise BundleError(
        f"{path} has no padding token, expected padding settings or one of {', '.join(PAD_TOKENS)}"
    )

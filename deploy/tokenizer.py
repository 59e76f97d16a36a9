"""The tokenizer that ships in the bundle."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from pocketbert.compress.config import CONTEXT, HALVES, HEAD, Truncation, halves
from pocketbert.compress.context_windows import Window, context_offsets, windows_of
from pocketbert.compress.errors import BundleError, DataError
from pocketbert.compress.texts import Text
from pocketbert.compress.word_tags import Word, words_of

PAD_TOKENS = ("[PAD]", "<pad>")
Row = tuple[list[int], list[int]]  # token ids and their types


class Tokenizer:
    """Turns texts into the arrays that a model reads.

    What the file says about truncation and padding is replaced by what the engine needs.

    Args:
        path: `tokenizer.json`.
        max_length: Longest input in tokens, special tokens included.
        truncation: What is read of a longer text; of a pair the longer text is cut first.

    Raises:
        BundleError: The file is no tokenizer, or has no padding token.
    """

    def __init__(self, path: Path, max_length: int, truncation: Truncation = HEAD) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise BundleError(
                f"{path} does not load ({error}), expected a tokenizer.json of the tokenizers "
                "library"
            ) from error
        self.pad_id = _pad_id(self._tokenizer, path)
        self.max_length = max_length
        self.truncation = truncation
        self._mask_of_one = np.ones((1, max_length), dtype=np.int64)  # cut, never written to
        self._check_room(path)
        self._tokenizer.no_padding()
        self._set_truncation()

    def words(self, text: Text) -> list[Word]:
        """Return the words of a text, as far as it is not cut off."""
        return words_of(self._encode(text))

    def context_windows(self, text: Text) -> tuple[list[Window], list[tuple[int, int]]]:
        """Return the windows of a context and the characters of each of its tokens.

        Raises:
            DataError: The text is no question with its context.
        """
        if isinstance(text, str):
            raise DataError(f"a text is {text[:80]!r}, expected a question and its context")
        encoding = self._encode(text)
        overlap = self.truncation.window_overlap
        return windows_of(encoding, self.max_length, overlap), context_offsets(encoding)

    def encode(self, texts: Sequence[Text]) -> dict[str, NDArray[np.int64]]:
        """Tokenise a batch, one row a text; of `windows` the first one.

        A surrogate that stands alone, which is no character, is read as U+FFFD.

        Returns:
            `input_ids`, `attention_mask` and `token_type_ids`, each (batch, seq).
        """
        # One text at a time: encode_batch starts a thread pool, twice as slow for a single text.
        if self.truncation.keep == CONTEXT:
            return self.pad([self.windows(text)[0] for text in texts])
        return self.pad([self._cut(self._encode(text)) for text in texts])

    def windows(self, text: Text) -> list[Row]:
        """Tokenise a text; more than one row only where truncation is `windows` or `context`."""
        if self.truncation.keep == CONTEXT:
            return [(window.ids, window.type_ids) for window in self.context_windows(text)[0]]
        encoding = self._encode(text)
        further = encoding.overflowing if self.truncation.keep == "windows" else []
        return [self._cut(part) for part in (encoding, *further)]

    def pad(self, rows: Sequence[Row]) -> dict[str, NDArray[np.int64]]:
        """Make of rows what a model reads, padded at the end to the longest."""
        if len(rows) == 1:  # nothing to pad: half the time of the general way
            together = np.array(rows[0], dtype=np.int64)
            return {
                "input_ids": together[:1],
                "attention_mask": self._mask_of_one[:, : together.shape[1]],
                "token_type_ids": together[1:],
            }
        shape = (len(rows), max((len(ids) for ids, _ in rows), default=0))
        input_ids = np.full(shape, self.pad_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        for row, (ids, type_ids) in enumerate(rows):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
            token_type_ids[row, : len(ids)] = type_ids
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }

    def _check_room(self, path: Path) -> None:
        special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if special >= self.max_length:
            raise BundleError(
                f"the longest input is {self.max_length} tokens, of which the special tokens of "
                f"{path} take {special}, expected room for text; raise max_length"
            )
        overlap, room = self.truncation.window_overlap, self.max_length - special
        if overlap >= room:
            raise BundleError(
                f"windows share {overlap} tokens, expected less than {room}, which is all that a "
                "window reads of the text; build the bundle again"
            )

    def _set_truncation(self) -> None:
        keep = self.truncation.keep
        if keep in (HALVES, CONTEXT):  # the library does not know them: `_cut`, `windows_of`
            self._tokenizer.no_truncation()
            return
        self._tokenizer.enable_truncation(
            self.max_length,
            stride=self.truncation.window_overlap,
            direction="left" if keep == "tail" else "right",
        )

    def _encode(self, text: Text) -> tokenizers.Encoding:
        try:
            first, second = (text, None) if isinstance(text, str) else text
            return self._tokenizer.encode(first, second)
        except (TypeError, ValueError):  # lone surrogates, or no text at all
            if not _is_text(text):
                raise TypeError(f"a text is {text!r}, expected a string, or two") from None
            first, second = (text, None) if isinstance(text, str) else text
            second = None if second is None else _characters(second)
            return self._tokenizer.encode(_characters(first), second)

    def _cut(self, encoding: tokenizers.Encoding) -> Row:
        ids, type_ids = encoding.ids, encoding.type_ids
        if self.truncation.keep == HALVES and len(ids) > self.max_length:
            first, last = halves(self.max_length)
            return ids[:first] + ids[-last:], type_ids[:first] + type_ids[-last:]
        return ids, type_ids


def _is_text(text: object) -> bool:
    if isinstance(text, tuple | list):
        return len(text) == 2 and all(isinstance(part, str) for part in text)
    return isinstance(text, str)


def _characters(text: str) -> str:
    """Join pairs of surrogates; one that stands alone becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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

"""The tokenizer of the language that is translated into; needs no torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .errors import BundleError

TARGET_TOKENIZER = "target_tokenizer.json"
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[START]", "[END]"


class TargetTokenizer:
    """Texts to the tokens that a decoder writes, and back.

    Attributes:
        pad_id: What stands behind the end.
        start_id: What a decoder reads first.
        end_id: What it writes last.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        missing = [name for name in (PAD, START, END) if tokenizer.token_to_id(name) is None]
        if missing:
            raise ValueError(f"it has no token {missing[0]}")
        numbers: Any = [tokenizer.token_to_id(name) for name in (PAD, START, END)]
        self.pad_id, self.start_id, self.end_id = map(int, numbers)

    @classmethod
    def open(cls, folder: Path) -> "TargetTokenizer":
        """Read the file of a model folder, an exported model or a bundle.

        Raises:
            BundleError: There is none, or one that does not load.
        """
        path = folder / TARGET_TOKENIZER
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises nothing narrower
            raise BundleError(
                f"{path} does not load ({error}), expected the tokenizer of the language that is "
                "translated into"
            ) from error

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    def save(self, folder: Path) -> None:
        """Write the file into a folder."""
        self._tokenizer.save(str(folder / TARGET_TOKENIZER))

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Return a text's tokens and the end, cut to `max_tokens` with it."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [*ids[: max_tokens - 1], self.end_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; special ones are left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def train_target_tokenizer(texts: Iterable[str], vocabulary: int) -> TargetTokenizer:
    """Learn a byte-pair encoding (Sennrich et al. 2016) of texts, the same from the same texts.

    Spaces are kept as a letter, so that languages with and without them come back as they were;
    punctuation stands alone.

    Args:
        texts: Of the training split.
        vocabulary: How many tokens there are at most, special ones included.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN, START, END], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return TargetTokenizer(tokenizer)

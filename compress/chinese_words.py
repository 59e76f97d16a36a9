"""Chinese characters as words of their own, for tokenizers that leave them together.

What is a word of a text decides what can have a label of its own. BERT's tokenizers cut Chinese
into characters; SentencePiece's cut at spaces, of which Chinese has none.
"""

from tokenizers import Regex
from tokenizers.pre_tokenizers import PreTokenizer, Sequence, Split
from transformers import PreTrainedTokenizerBase

# A word that begins with a character keeps the mark of its beginning.
CHARACTER = "▁?\\p{Han}"
TWO_WORDS = "中文"


def split_chinese(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer cut before and behind every Chinese character, if it does not yet."""
    backend = tokenizer.backend_tokenizer
    before: PreTokenizer | None = backend.pre_tokenizer
    # BERT's puts spaces around characters when it normalises.
    seen = backend.normalizer.normalize_str(TWO_WORDS) if backend.normalizer else TWO_WORDS
    if before is not None and len(before.pre_tokenize_str(seen)) == len(TWO_WORDS):
        return
    cut = Split(Regex(CHARACTER), "isolated")
    backend.pre_tokenizer = cut if before is None else Sequence([before, cut])

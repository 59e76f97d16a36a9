"""A text that is longer than the model, read in windows: their logits are pooled."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import Text

from .runners import Runner
from .tokenizer import Tokenizer

POOLS: dict[str, Callable[..., Any]] = {"mean": np.mean, "max": np.max}


def pooled_logits(
    tokenizer: Tokenizer, runner: Runner, texts: Sequence[Text]
) -> NDArray[np.float32]:
    """Run all windows of texts, as many at once as there are texts, and pool those of each.

    Returns:
        Logits (texts, labels).
    """
    windows = [tokenizer.windows(text) for text in texts]
    rows = [row for of_text in windows for row in of_text]
    logits = np.concatenate(
        [
            runner.run(tokenizer.pad(rows[start : start + len(texts)]))
            for start in range(0, len(rows), len(texts))
        ]
    )
    pool = POOLS[tokenizer.truncation.window_pooling]
    ends = np.cumsum([len(of_text) for of_text in windows])[:-1]
    return np.stack([pool(part, axis=0) for part in np.split(logits, ends)])

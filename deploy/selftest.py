"""Replays on the device what the bundle computed when it was built."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.texts import text_of

from .bundle import GOLDEN, TOKENIZER, read_bundle
from .engine import Engine, choose_target
from .tasks import TASKS
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class SelftestResult:
    """How this machine's answers compare with the golden ones.

    Attributes:
        passed: Same tokens, and logits within the tolerance.
        engine: What ran, and why.
        texts: Number of golden texts.
        texts_with_other_tokens: Texts that this machine's tokenizer cuts differently.
        max_abs_difference: Largest difference of a logit.
        tolerance: Largest difference allowed.
    """

    passed: bool
    engine: str
    texts: int
    texts_with_other_tokens: int
    max_abs_difference: float
    tolerance: float


def selftest(bundle: Path, target: str | None = None) -> SelftestResult:
    """Verify a bundle and replay its golden texts.

    Raises:
        BundleError: The bundle is broken or has no target for this processor.
    """
    verified = read_bundle(bundle)
    chosen, _ = choose_target(verified, target)
    engine = Engine.from_bundle(verified, chosen.name)
    golden = json.loads((bundle / GOLDEN).read_text())
    texts = [text_of(text) for text in golden["texts"]]
    # Format 1 had one target, whose answers stood at the top.
    answers = golden["targets"][chosen.name] if "targets" in golden else golden
    tokenizer = Tokenizer(
        bundle / TOKENIZER, verified.manifest.max_length, verified.manifest.truncation
    )
    other_tokens = sum(
        tokenizer.encode([text])["input_ids"][0].tolist() != input_ids
        for text, input_ids in zip(texts, golden["input_ids"], strict=True)
    )
    kept = golden_rows(answers["logits"], engine)
    difference = engine.largest_difference(engine.rows(texts), kept)
    return SelftestResult(
        passed=other_tokens == 0 and difference <= answers["tolerance"],
        engine=engine.describe(),
        texts=len(texts),
        texts_with_other_tokens=other_tokens,
        max_abs_difference=difference,
        tolerance=answers["tolerance"],
    )


def golden_rows(kept: list[Any], engine: Engine) -> list[NDArray[np.float32]]:
    """Return logits as `Engine.rows` lays them out; a text without words has none."""
    task, texts = TASKS[engine.kind], [np.array(one, dtype=np.float32) for one in kept]
    if not (task.per_word or task.generates):
        return texts
    return [one.reshape(-1, 1 if task.generates else len(engine.labels)) for one in texts]

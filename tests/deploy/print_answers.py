"""Prints what a bundle answers on the machine that this runs on; reads the question from stdin.

    {"bundle": folder, "texts": [...], "tokenized": [...], "optimized": file to write}

Logits are those of `texts`, tokens those of `tokenized`, which may be left out as `optimized` may,
the file that gets the graph that ONNX Runtime really executes. Imports only what a device has.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

from pocketbert.deploy.bundle import TOKENIZER, read_bundle
from pocketbert.deploy.engine import Engine, choose_target
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer


def answers(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question."""
    bundle = read_bundle(Path(question["bundle"]))
    target, _ = choose_target(bundle, None)
    if "optimized" in question:
        OrtRunner(
            bundle.root / target.path,
            disabled_optimizers=target.disabled_optimizers,
            optimized_path=Path(question["optimized"]),
        )
    engine = Engine.from_bundle(bundle, target.name)
    tokenizer = Tokenizer(bundle.root / TOKENIZER, bundle.manifest.max_length)
    tokens = [tokenizer.encode([text])["input_ids"][0] for text in question.get("tokenized", [])]
    return {
        "machine": platform.machine(),
        "engine": engine.describe(),
        "logits": engine.logits(question["texts"]).tolist(),
        "input_ids": [row.tolist() for row in tokens],
    }


if __name__ == "__main__":
    print(json.dumps(answers(json.load(sys.stdin))))  # noqa: T201

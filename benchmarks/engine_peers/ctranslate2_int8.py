"""CTranslate2 in INT8: its BERT encoder and pooler; it has no classifier, which numpy computes.

https://opennmt.net/CTranslate2/guides/transformers.html
"""

from collections.abc import Callable
from pathlib import Path

import ctranslate2
import numpy as np


def build(source: dict[str, str], out: Path) -> None:
    from ctranslate2.converters import TransformersConverter
    from safetensors.numpy import load_file

    TransformersConverter(source["weights"]).convert(
        str(out / "encoder"), quantization="int8", force=True
    )
    weights = load_file(Path(source["weights"]) / "model.safetensors")
    np.savez(
        out / "classifier.npz",
        weight=weights["classifier.weight"],
        bias=weights["classifier.bias"],
    )


def open_engine(
    engine: str, folder: Path, source: dict[str, str], threads: int
) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    encoder = ctranslate2.Encoder(
        str(folder / "encoder"),
        device="cpu",
        compute_type="int8",
        inter_threads=1,
        intra_threads=threads,
    )
    head = np.load(folder / "classifier.npz")
    weight, bias = head["weight"].T, head["bias"]

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        ids = ctranslate2.StorageView.from_array(inputs["input_ids"].astype(np.int32))
        lengths = inputs["attention_mask"].sum(1).astype(np.int32)
        output = encoder.forward_batch(
            ids,
            ctranslate2.StorageView.from_array(lengths),
            token_type_ids=inputs["token_type_ids"].tolist(),
        )
        logits: np.ndarray = np.array(output.pooler_output) @ weight + bias
        return logits

    return run

"""BF16 autocast where it is really faster, decided once per training and remembered."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

logger = logging.getLogger("pocketbert")


def choose_precision(
    asked: str, model: nn.Module, batch: Mapping[str, Tensor], folder: Path
) -> str:
    """Return "float32" or "bfloat16".

    A resumed training must go on in the precision it began with, and timings are noisy, so the
    first choice is kept in `folder`.

    Args:
        asked: The recipe's word; only "auto" measures.
        model: What will be trained; its gradients are cleared afterwards.
        batch: A typical batch of its inputs.
        folder: Where the choice is kept.
    """
    if asked != "auto":
        return asked
    record = folder / "precision.json"
    if record.is_file():
        return str(json.loads(record.read_text())["precision"])
    choice: dict[str, str | float] = {"precision": "float32"}
    if _has_bfloat16():
        float32_s = _step_s(model, batch, bfloat16=False)
        bfloat16_s = _step_s(model, batch, bfloat16=True)
        precision = "bfloat16" if bfloat16_s < float32_s else "float32"
        choice = {"precision": precision, "float32_s": float32_s, "bfloat16_s": bfloat16_s}
        logger.info(
            "training in %s (a step took %.2f s in FP32, %.2f s in BF16)",
            precision,
            float32_s,
            bfloat16_s,
        )
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(choice))
    return str(choice["precision"])


def _has_bfloat16() -> bool:
    # Without hardware support a BF16 step is emulated and can take twenty times as long.
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _step_s(model: nn.Module, batch: Mapping[str, Tensor], bfloat16: bool) -> float:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    inputs = {name: tensor.to(device) for name, tensor in batch.items()}
    times_s = []
    for _ in range(3):
        started_s = time.perf_counter()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
            loss = model(**inputs)["loss"]
        loss.backward()
        model.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)

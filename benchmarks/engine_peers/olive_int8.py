"""Olive: conversion, transformer optimisation for BERT, dynamic INT8, as its BERT example does it.

https://microsoft.github.io/Olive/getstarted/quickstart_bert_example.html
"""

import shutil
from pathlib import Path
from typing import Any

from engine_peers.onnx_session import OnnxSession


def build(source: dict[str, str], out: Path) -> None:
    from olive import run

    passes: dict[str, Any] = {
        "transformers_optimization": {"type": "OrtTransformersOptimization", "model_type": "bert"},
        "quantization": {"type": "OnnxDynamicQuantization"},
    }
    if source["weights"]:
        model = {
            "type": "HfModel",
            "model_path": source["weights"],
            "task": "text-classification",
        }
        passes = {"conversion": {"type": "OnnxConversion", "target_opset": 17}} | passes
    else:  # a pruned model: its graph is taken as it is
        model = {"type": "ONNXModel", "model_path": source["onnx"]}
    result = run(
        {
            "input_model": model,
            "systems": {
                "here": {
                    "type": "LocalSystem",
                    "accelerators": [
                        {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
                    ],
                }
            },
            "host": "here",
            "target": "here",
            "passes": passes,
            "cache_dir": str(out / "cache"),
            "output_dir": str(out / "output"),
        }
    )
    shutil.copyfile(result.get_best_candidate().model_path, out / "model.onnx")
    shutil.rmtree(out / "cache")
    shutil.rmtree(out / "output")


def open_engine(engine: str, folder: Path, source: dict[str, str], threads: int) -> OnnxSession:
    return OnnxSession(folder / "model.onnx", threads)

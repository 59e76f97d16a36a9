"""OpenVINO in FP32, with its BF16 hint, and NNCF's INT8, all from the exported graph.

At a fixed shape each gets a model compiled for that shape, which is how OpenVINO is fastest.
https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
"""

import json
from pathlib import Path

import numpy as np
import openvino

BF16 = ("bf16", "int8_bf16")


def build(source: dict[str, str], out: Path) -> None:
    import nncf

    model = openvino.Core().read_model(source["onnx"])
    names = [port.any_name for port in model.inputs]
    texts = json.loads(Path(source["calibration"]).read_text())
    dataset = nncf.Dataset(texts, lambda text: {name: np.array(text[name]) for name in names})
    quantized = nncf.quantize(
        model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(texts)
    )
    openvino.save_model(quantized, out / "int8.xml", compress_to_fp16=False)


def open_engine(engine: str, folder: Path, source: dict[str, str], threads: int) -> "CompiledOnce":
    path = folder / "int8.xml" if engine.startswith("int8") else Path(source["onnx"])
    return CompiledOnce(path, "bf16" if engine in BF16 else "f32", threads)


class CompiledOnce:
    """A model compiled for any shape, or for one."""

    def __init__(self, path: Path, precision: str, threads: int) -> None:
        self.core = openvino.Core()
        self.path = path
        self.options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the process is pinned already
        }
        self.fix_shape(None)

    def fix_shape(self, shape: tuple[int, ...] | None) -> None:
        """Compile for one shape (batch, seq), or for any."""
        model = self.core.read_model(self.path)
        if shape is not None:
            model.reshape({port.any_name: list(shape) for port in model.inputs})
        compiled = self.core.compile_model(model, "CPU", self.options)
        self.names = [port.any_name for port in compiled.inputs]
        self.request = compiled.create_infer_request()

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Compute logits (batch, labels)."""
        found = self.request.infer({name: inputs[name] for name in self.names}, share_inputs=True)
        logits: np.ndarray = found[0]
        return logits

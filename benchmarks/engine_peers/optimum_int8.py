"""optimum-onnx: its export, then dynamic INT8 for AVX-512 VNNI, per channel.

https://huggingface.co/docs/optimum-onnx/onnxruntime/usage_guides/quantization
"""

import shutil
from pathlib import Path

from engine_peers.onnx_session import OnnxSession


def build(source: dict[str, str], out: Path) -> None:
    from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    if source["weights"]:
        exported = ORTModelForSequenceClassification.from_pretrained(source["weights"], export=True)
        exported.save_pretrained(out / "float")
    else:  # a pruned model: its graph is taken as it is
        (out / "float").mkdir(exist_ok=True)
        shutil.copyfile(source["onnx"], out / "float" / "model.onnx")
        shutil.copyfile(Path(source["model"]) / "config.json", out / "float" / "config.json")
    quantizer = ORTQuantizer.from_pretrained(out / "float", file_name="model.onnx")
    quantizer.quantize(
        save_dir=out,
        quantization_config=AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
    )
    shutil.rmtree(out / "float")


def open_engine(engine: str, folder: Path, source: dict[str, str], threads: int) -> OnnxSession:
    return OnnxSession(folder / "model_quantized.onnx", threads)

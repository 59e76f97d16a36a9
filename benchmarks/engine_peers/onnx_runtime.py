"""ONNX Runtime on the exported FP32 graph, with its default options."""

from pathlib import Path

from engine_peers.onnx_session import OnnxSession


def build(source: dict[str, str], out: Path) -> None:
    """Nothing: the graph is exported already."""


def open_engine(engine: str, folder: Path, source: dict[str, str], threads: int) -> OnnxSession:
    return OnnxSession(Path(source["onnx"]), threads)

"""An ONNX file in ONNX Runtime with its default options, but for the threads."""

from pathlib import Path

import numpy as np
import onnxruntime


class OnnxSession:
    """Token ids in, logits out."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.names = [node.name for node in self.session.get_inputs()]

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Compute logits (batch, labels)."""
        logits: np.ndarray = self.session.run(None, {name: inputs[name] for name in self.names})[0]
        return logits

"""Python backend of Triton: logits to label, score and probabilities.

`repository` copies this file as `model.py`. There it has numpy and Triton's own module and nothing
of pocketbert. The labels stand in its config.pbtxt.
"""

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """Called by Triton."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Read the labels."""
        parameters = json.loads(args["model_config"])["parameters"]
        labels = json.loads(parameters["labels"]["string_value"])
        self._labels = np.array([label.encode() for label in labels], dtype=np.object_)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Turn `logits` (n, labels) into `label`, `score` (n, 1), `probabilities` (n, labels)."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        logits = triton.get_input_tensor_by_name(request, "logits").as_numpy()
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
        best = probabilities.argmax(axis=-1)
        return triton.InferenceResponse(
            [
                triton.Tensor("label", self._labels[best][:, None]),
                triton.Tensor("score", probabilities.max(axis=-1, keepdims=True)),
                triton.Tensor("probabilities", probabilities),
            ]
        )

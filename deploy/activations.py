"""What flows through chosen tensors of an exported model, one text at a time."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import DataError, ModelError
from pocketbert.compress.progress import progress
from pocketbert.compress.texts import Text

from .decoder_inputs import decoder_inputs
from .graph import initializers
from .graph_files import DECODER, MODEL
from .tokenizer import Tokenizer

SAMPLE_SEED = 0
INTEGER_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "MatMulInteger", "MatMulNBits")


def sample_texts(data: Path, count: int) -> list[Text]:
    """Draw training texts, the same ones every time.

    Raises:
        DataError: There are none.
    """
    texts = load_split(data, "train").texts
    if not texts:
        raise DataError(
            f"{data} has 0 training texts, expected some to calibrate on; give data.train rows"
        )
    return random.Random(SAMPLE_SEED).sample(texts, min(count, len(texts)))


def activations(
    exported: Path,
    tensors: Sequence[str],
    data: Path,
    texts: Sequence[Text],
    title: str,
    graph: str = MODEL,
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Yield the values of tensors for each text, at its real length and without padding.

    Of a decoder they are yielded for each step of writing the text's answer.

    Args:
        exported: Folder of the export stage.
        tensors: Names of tensors of the graph.
        data: Folder of the data stage.
        texts: What the model reads.
        title: Name on the progress bar.
        graph: Which of the exported graphs.

    Raises:
        ModelError: The tokenizer is not the model's.
    """
    vocabulary_size = _vocabulary_size(load_float_model(exported / "model.onnx"))
    session = _open(exported / graph, tensors)
    inputs = [node.name for node in session.get_inputs()]
    if graph == DECODER:
        for steps in _shown(decoder_inputs(exported, data, texts), len(texts), title):
            for step in steps:
                values = session.run(list(tensors), {name: step[name] for name in inputs})
                yield dict(zip(tensors, values, strict=True))
        return
    said = load_description(data)
    tokenizer = Tokenizer(exported / "tokenizer.json", said.max_length, said.truncation)
    with progress(title, total=len(texts), unit="text") as bar:
        for text in texts:
            encoded = tokenizer.encode([text])
            largest = int(encoded["input_ids"].max())
            if largest >= vocabulary_size:
                raise ModelError(
                    f"{exported / 'tokenizer.json'} makes token {largest} of {str(text)[:40]!r}, "
                    f"expected numbers below {vocabulary_size}, the rows of the model's word "
                    "table; give the tokenizer that belongs to this model"
                )
            values = session.run(list(tensors), {name: encoded[name] for name in inputs})
            yield dict(zip(tensors, values, strict=True))
            bar.advance()


def _shown(texts: Iterator[Any], count: int, title: str) -> Iterator[Any]:
    """Yield what belongs to each text and show how many there were."""
    with progress(title, total=count, unit="text") as bar:
        for one in texts:
            yield one
            bar.advance()


def load_float_model(path: Path) -> ModelProto:
    """Read an exported model.

    Raises:
        ModelError: It is quantized already.
    """
    model = onnx.load_model(path)
    found = {node.op_type for node in model.graph.node} & set(INTEGER_OPERATORS)
    if found:
        raise ModelError(
            f"{path} is quantized already (it has {', '.join(sorted(found))}), expected the float "
            "model of an export stage; give that one"
        )
    return model


def _open(path: Path, tensors: Sequence[str]) -> onnxruntime.InferenceSession:
    """Open a session that gives back the tensors too."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # The arena holds on to the memory of the longest text; prepacking keeps weights twice.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    outputs = [onnx.ValueInfoProto(name=name) for name in tensors]
    more = ModelProto(graph=onnx.GraphProto(output=outputs))
    with tempfile.TemporaryDirectory() as scratch:
        watched = Path(shutil.copy(path, scratch))
        # Two protobuf messages in a row are read as one, their lists joined: no weight is copied.
        with watched.open("ab") as file:
            file.write(more.SerializeToString())
        return onnxruntime.InferenceSession(watched, options, ["CPUExecutionProvider"])


def _vocabulary_size(model: ModelProto) -> int:
    stored = initializers(model)
    rows = [
        int(stored[node.input[0]].dims[0])
        for node in model.graph.node
        if node.op_type == "Gather" and node.input[1] == "input_ids" and node.input[0] in stored
    ]
    return min(rows, default=2**63)

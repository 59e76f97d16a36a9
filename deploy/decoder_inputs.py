"""What a decoder reads at every step of a text, for looking at its activations."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import load_description
from pocketbert.compress.texts import Text

from .graph_files import MODEL
from .runners.ort_writer import OrtWriter
from .tokenizer import Tokenizer
from .writing import Language, write


class _Recorder(OrtWriter):
    """Keeps what each step reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.steps: list[dict[str, NDArray[np.generic]]] = []

    def step(
        self,
        tokens: NDArray[np.int64],
        mask: NDArray[np.int64],
        read: NDArray[np.float32],
        written: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.steps.append(
            {"tokens": tokens, "attention_mask": mask, "read": read, "written": written}
        )
        return super().step(tokens, mask, read, written)


def decoder_inputs(
    exported: Path, data: Path, texts: Sequence[Text]
) -> Iterator[list[dict[str, NDArray[np.generic]]]]:
    """Yield for each text what every step of writing its answer reads.

    Args:
        exported: Folder of the export stage.
        data: Folder of the data stage.
        texts: What is read.
    """
    tokenizer = Tokenizer(exported / "tokenizer.json", load_description(data).max_length)
    language = Language.open(exported)
    recorder = _Recorder(exported / MODEL)
    for text in texts:
        write(recorder, tokenizer.encode([text]), language)
        yield recorder.steps
        recorder.steps = []

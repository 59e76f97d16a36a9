"""Every artifact's median latency over the floor that this machine sets for its products."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketbert.compress.texts import Text
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.engine import choose_target
from pocketbert.deploy.graph_files import graphs_of

from .artifacts import Artifact
from .roofline import Floor, Peaks, floor_of, work_of
from .token_lengths import token_lengths


def floors(
    artifacts: Sequence[Artifact],
    p50_ms: Mapping[str, float],
    texts: Sequence[Text],
    max_length: int,
    peaks: Peaks,
) -> dict[str, Floor | None]:
    """Hold every artifact against the floor.

    What has to be multiplied is counted in the FP32 export of the same model folder.

    Args:
        artifacts: What was timed.
        p50_ms: Median latency of each.
        texts: What they were timed on.
        max_length: Longest input in tokens.
        peaks: Of this machine.
    """
    # How much a decoder multiplies depends on what it writes: its models have no floor.
    exports = {
        artifact.model_folder: artifact
        for artifact in artifacts
        if artifact.kind == "onnx" and len(graphs_of(Path(artifact.folder))) == 1
    }
    work = {
        model: work_of(Path(artifact.folder) / artifact.file) for model, artifact in exports.items()
    }
    return {
        artifact.name: floor_of(
            peaks,
            work[artifact.model_folder],
            token_lengths(Path(artifact.folder), texts, max_length),
            precision_of(artifact),
            p50_ms[artifact.name],
        )
        if artifact.model_folder in work
        else None
        for artifact in artifacts
    }


def precision_of(artifact: Artifact) -> str:
    """Number format of an artifact's products with weights."""
    if artifact.kind != "bundle":
        return "float32"
    return choose_target(read_bundle(Path(artifact.folder)), artifact.target)[0].precision

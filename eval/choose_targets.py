"""Stage: of all targets that were built, those that are worth shipping from this machine.

INT8 that is no faster than 16 bits or FP32 is no achievement; a target that another beats in both
speed and agreement is ballast. All are measured interleaved, on texts of the validation split, so
that the test split decides nothing.
"""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import GOLDEN, Bundle, Target, read_bundle, write_bundle
from pocketbert.deploy.config import ChooseConfig
from pocketbert.deploy.engine import Engine, why_not_here

from .accuracy import predict, truth_of
from .artifacts import Artifact
from .config import EvaluateConfig
from .latency import choose_texts, measure_latency
from .tasks import MEASURES

logger = logging.getLogger(__name__)

PUBLISHED = "published"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was measured of one target, and what became of it.

    Attributes:
        name: Of the target.
        precision: Format of its products with weights.
        float_precision: Format of what is not INT8.
        agreement: Share of validation texts that get the float model's answer.
        accuracy: The task's metric on the validation split.
        p50_ms: Median latency at batch 1, text in to answer out.
        bytes: Of its files.
        int8_matmuls: Products with weights that run in INT8.
        float_weight_matmuls: Those that do not.
        verdict: `published`, or why not.
    """

    name: str
    precision: str
    float_precision: str
    agreement: float
    accuracy: float
    p50_ms: float
    bytes: int
    int8_matmuls: int
    float_weight_matmuls: int
    verdict: str = ""


def choose_targets(
    *, out: Path, config: ChooseConfig, threads: int, data: Path, exported: Path, compiled: Path
) -> dict[str, Any]:
    """Measure the targets of a bundle and write `out/bundle` with the best, fastest first.

    Targets that this machine cannot run are for other machines and stay, behind.

    Args:
        out: Stage folder.
        config: Least agreement and gain, and how much is measured.
        threads: Threads of one inference.
        data: Folder of the data stage.
        exported: Folder of the export stage: the float model that agreement is with.
        compiled: Folder of the compile stage, with target `auto`.

    Returns:
        `target`, the first of the bundle, `targets`, its `p50_ms` and `agreement`, `tried`: one
        row a target with its verdict, and the bundle's `bundle_bytes`.

    Raises:
        BundleError: No target agrees enough with the float model.
    """
    bundle = read_bundle(compiled / "bundle")
    here = [t for t in bundle.manifest.targets if why_not_here(bundle.root, t) is None]
    elsewhere = [t for t in bundle.manifest.targets if why_not_here(bundle.root, t) is not None]
    p50_by_round_ms = _latencies(bundle, here, config, threads, data)
    rows = judge(_measured(bundle, here, p50_by_round_ms, data, exported), p50_by_round_ms, config)
    for row in rows:
        logger.info(
            "%s: %.3f ms, agreement %.4f: %s", row.name, row.p50_ms, row.agreement, row.verdict
        )
    published = [row.name for row in rows if row.verdict == PUBLISHED]
    if not published:
        best = max(rows, key=lambda row: row.agreement)
        raise BundleError(
            f"no target gives at least {config.min_agreement:g} of the validation texts the float "
            f"model's label, the best is {best.name} with {best.agreement:.4f}; lower "
            "compile.choose.min_agreement or quantize less"
        )
    by_name = {target.name: target for target in here}
    _write_chosen(bundle, [*(by_name[name] for name in published), *elsewhere], out / "bundle")
    first = next(row for row in rows if row.name == published[0])
    return {
        "target": first.name,
        "targets": [*published, *(target.name for target in elsewhere)],
        "p50_ms": first.p50_ms,
        "agreement": first.agreement,
        "tried": [asdict(row) for row in rows],
        "bundle_bytes": sum(f.stat().st_size for f in (out / "bundle").rglob("*") if f.is_file()),
    }


def judge(
    rows: Sequence[Tried], p50_by_round_ms: Mapping[str, NDArray[np.float64]], config: ChooseConfig
) -> list[Tried]:
    """Give every row its verdict, fastest first.

    Args:
        rows: What was measured.
        p50_by_round_ms: Median latency of each round, in which all took turns, by target.
        config: Least agreement and gain.
    """
    enough = [row for row in rows if row.agreement >= config.min_agreement]
    floats = [row for row in enough if row.precision != "int8"]
    best_float = min(floats, key=lambda row: row.p50_ms, default=None)

    def gain(row: Tried) -> float:
        assert best_float is not None
        ratios = p50_by_round_ms[best_float.name] / p50_by_round_ms[row.name]
        return float(np.median(ratios))

    judged: list[Tried] = []
    for row in sorted(rows, key=lambda row: row.p50_ms):
        better = [
            one.name
            for one in judged
            if one.verdict == PUBLISHED and one.agreement >= row.agreement
        ]
        if row not in enough:
            verdict = f"agrees with the float model on less than {config.min_agreement:g}"
        elif row.precision == "int8" and best_float and gain(row) < config.min_gain:
            verdict = f"{gain(row):.2f}x {best_float.name}, less than {config.min_gain:g}x"
        elif better:
            verdict = f"slower than {better[0]}, which agrees as well"
        else:
            verdict = PUBLISHED
        judged.append(replace(row, verdict=verdict))
    return judged


def _measured(
    bundle: Bundle,
    targets: Sequence[Target],
    p50_by_round_ms: Mapping[str, NDArray[np.float64]],
    data: Path,
    exported: Path,
) -> list[Tried]:
    description, examples = load_description(data), load_split(data, "validation")
    floating = Engine.from_onnx(
        exported,
        description.labels,
        description.max_length,
        kind=description.kind,
        truncation=description.truncation,
    )
    measure = MEASURES[description.kind](description.labels)
    truth = truth_of(examples, description, exported)
    expected = predict(floating, examples.texts, truth, "Float model")
    rows = []
    for target in targets:
        engine = Engine.from_bundle(bundle, target.name)
        logits = predict(engine, examples.texts, truth, target.name)
        rows.append(
            Tried(
                name=target.name,
                precision=target.precision,
                float_precision=target.float_precision,
                agreement=float(measure.same(logits, expected).mean()),
                accuracy=measure.value(logits, truth),
                p50_ms=float(np.median(p50_by_round_ms[target.name])),
                bytes=target.bytes,
                int8_matmuls=target.int8_matmuls,
                float_weight_matmuls=target.float_weight_matmuls,
            )
        )
    return rows


def _latencies(
    bundle: Bundle, targets: Sequence[Target], config: ChooseConfig, threads: int, data: Path
) -> dict[str, NDArray[np.float64]]:
    """Median latency in ms of each round, by target. Shape: (rounds,)."""
    artifacts = [
        Artifact(
            name=target.name,
            title=target.name,
            kind="bundle",
            folder=str(bundle.root),
            target=target.name,
        )
        for target in targets
    ]
    description = load_description(data)
    with tempfile.TemporaryDirectory() as logs:
        measured = measure_latency(
            artifacts,
            choose_texts(load_split(data, "validation").texts, config.texts),
            description.labels,
            description.max_length,
            EvaluateConfig(latency_rounds=config.rounds, threads=threads),
            Path(logs),
            description.kind,
            description.truncation,
        )
    return {name: np.median(one.latencies_ms, axis=1) for name, one in measured.items()}


def _write_chosen(bundle: Bundle, targets: Sequence[Target], out: Path) -> None:
    """Write the same bundle with these targets, and what only the others used left out."""
    kept = {target.name for target in targets}
    folders = {Path(target.path).parts[0] for target in targets}
    dropped = {Path(target.path).parts[0] for target in bundle.manifest.targets} - folders
    files = {
        name: bundle.root / name
        for name in bundle.manifest.sha256
        if Path(name).parts[0] not in dropped
    }
    golden = json.loads((bundle.root / GOLDEN).read_text())
    golden["targets"] = {name: one for name, one in golden["targets"].items() if name in kept}
    with tempfile.TemporaryDirectory() as scratch:
        files[GOLDEN] = Path(scratch) / GOLDEN
        files[GOLDEN].write_text(json.dumps(golden) + "\n")
        write_bundle(out, files, replace(bundle.manifest, targets=tuple(targets)))

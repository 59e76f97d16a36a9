"""Any set of bundles and targets on this device: latency, memory, cold start, clocks, energy.

The results file carries all that is needed to read it elsewhere: the bundles' hashes, the machine,
how it was set, what was measured with, and every single latency.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pocketbert.compress.errors import BundleError, UserError
from pocketbert.deploy.bundle import GOLDEN, MANIFEST, TOKENIZER, Bundle, hash_file, read_bundle
from pocketbert.deploy.engine import why_not_here
from pocketbert.deploy.jetpack import RELEASE, read_jetpack
from pocketbert.deploy.tokenizer import Tokenizer

from .artifacts import Artifact
from .clocks import read_power_state
from .config import EvaluateConfig
from .energy import IDLE, IDLE_S, EnergyMeter
from .environment import describe_environment
from .fixed_lengths import texts_of_length
from .latency import Measurement, measure_latency
from .sensors import find_sensor

FORMAT = 1
CALLS_A_ROUND = 500
TEXTS_OF_A_LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is measured, and how much.

    Attributes:
        targets: Names of targets; empty is all that run here.
        texts: File with a text a line; None takes the golden texts of the first bundle.
        lengths: Numbers of tokens to measure instead of the texts at their real lengths.
        calls: Least number of inferences of a target in a round.
        rounds: Rounds, in which the targets take turns.
        threads: Threads of one inference; None is what the first target was built for.
        idle_s: Seconds of doing nothing, whose power is subtracted.
    """

    targets: tuple[str, ...] = ()
    texts: Path | None = None
    lengths: tuple[int, ...] = ()
    calls: int = CALLS_A_ROUND
    rounds: int = 5
    threads: int | None = None
    idle_s: float = IDLE_S


@dataclass(frozen=True, kw_only=True)
class Row:
    """One target on texts of one kind.

    Attributes:
        bundle: Folder of the bundle.
        target: Its target.
        texts: "real lengths", or the number of tokens.
        engine: What the engine says it is.
        calls: Inferences that were timed.
        p50_ms: Median latency at batch 1, text in to answer out.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        cold_start_ms: Start of the process to the first answer.
        resident_bytes: Memory of the process at the end, without what a driver holds for it.
        peak_bytes: Most memory ever.
        power_w: Mean power while it ran; None if no sensor lasted.
        energy_mj: Energy of an inference in millijoules, without that of the idle machine.
        latencies_ms: Of every inference, by round.
    """

    bundle: str
    target: str
    texts: str
    engine: str
    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cold_start_ms: float
    resident_bytes: int
    peak_bytes: int
    power_w: float | None
    energy_mj: float | None
    latencies_ms: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """What was measured.

    Attributes:
        rows: One a target and kind of texts.
        passed_over: Targets that do not run here, with the reason.
        sensors: What became of every sensor that was looked for.
        content: All of it, as in the results file.
    """

    rows: tuple[Row, ...]
    passed_over: dict[str, str]
    sensors: dict[str, str]
    content: dict[str, Any]


def bench(
    folders: Sequence[Path], config: BenchConfig, out: Path, root: Path = Path("/")
) -> BenchResult:
    """Measure targets of bundles on this machine and write the results file.

    Args:
        folders: Bundles.
        config: What is measured.
        out: Results file.
        root: Folder that stands for / where sensors and clocks are looked for.

    Raises:
        BundleError: A bundle is broken, or no target runs here.
        UserError: Texts or lengths that cannot be used.
    """
    bundles = [read_bundle(folder) for folder in folders]
    artifacts, passed_over = _artifacts(bundles, config.targets)
    texts = _texts(bundles[0], config)
    config = replace(config, threads=config.threads or _threads(bundles[0]))
    sensor, sensors = find_sensor(root)
    meter = EnergyMeter(sensor)
    before = read_power_state(root)
    try:
        meter.rest(config.idle_s)
        rows = [
            row
            for kind, some in texts.items()
            for row in _measure(artifacts, bundles[0], kind, some, config, meter)
        ]
    finally:
        if sensor is not None:
            sensor.close()
    if meter.lost and sensor is not None:
        sensors[sensor.name] = meter.lost
    idle = meter.stretch(IDLE)
    content = {
        "format": FORMAT,
        "pocketbert": metadata.version("pocketbert"),
        "environment": asdict(describe_environment())
        | {"jetpack": read_jetpack(root / RELEASE.relative_to("/"))},
        "power_state": {"before": asdict(before), "after": asdict(read_power_state(root))},
        "sensors": sensors,
        "idle": asdict(idle) | {"power_w": idle.power_w} if idle else None,
        "config": asdict(config) | {"texts": str(config.texts) if config.texts else None},
        "bundles": [_about(bundle) for bundle in bundles],
        "passed_over": passed_over,
        "texts": texts,
        "rows": [asdict(row) for row in rows],
    }
    _write(out, content)
    return BenchResult(rows=tuple(rows), passed_over=passed_over, sensors=sensors, content=content)


def _artifacts(
    bundles: Sequence[Bundle], names: Sequence[str]
) -> tuple[list[Artifact], dict[str, str]]:
    """List what is measured, and why the rest is not."""
    artifacts: list[Artifact] = []
    passed_over: dict[str, str] = {}
    known = {target.name for bundle in bundles for target in bundle.manifest.targets}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BundleError(
            f"no bundle has a target {unknown[0]!r}, expected one of: {', '.join(sorted(known))}"
        )
    for number, bundle in enumerate(bundles, start=1):
        for target in bundle.manifest.targets:
            title = f"{bundle.root}, {target.name}"
            if names and target.name not in names:
                continue
            reason = why_not_here(bundle.root, target)
            if reason is not None:
                passed_over[title] = reason
                continue
            artifacts.append(
                Artifact(
                    name=f"{number}-{target.name}",
                    title=title,
                    kind="bundle",
                    folder=str(bundle.root),
                    target=target.name,
                )
            )
    if not artifacts:
        said = "; ".join(f"{title}: {reason}" for title, reason in passed_over.items())
        raise BundleError(f"no target runs here ({said}), expected one that does")
    return artifacts, passed_over


def _texts(bundle: Bundle, config: BenchConfig) -> dict[str, list[str]]:
    """Texts by kind: "real lengths", or a number of tokens."""
    source = config.texts or bundle.root / GOLDEN
    if config.texts is None:
        texts = json.loads(source.read_text(encoding="utf-8"))["texts"]
    elif not source.is_file():
        raise UserError(f"{source} is no file, expected one with a text a line")
    else:
        texts = source.read_text(encoding="utf-8").splitlines()
    if not texts:
        raise UserError(f"{source} has no texts, expected one a line; give another file")
    if not config.lengths:
        return {"real lengths": texts}
    tokenizer = Tokenizer(bundle.root / TOKENIZER, bundle.manifest.max_length)
    return {
        f"{length} tokens": texts_of_length(tokenizer, texts, length, TEXTS_OF_A_LENGTH)
        for length in config.lengths
    }


def _measure(
    artifacts: Sequence[Artifact],
    first: Bundle,
    kind: str,
    texts: list[str],
    config: BenchConfig,
    meter: EnergyMeter,
) -> list[Row]:
    repeated = texts * math.ceil(config.calls / len(texts))
    with tempfile.TemporaryDirectory() as logs:
        measured = measure_latency(
            artifacts,
            repeated,
            first.manifest.labels,
            first.manifest.max_length,
            EvaluateConfig(latency_rounds=config.rounds, threads=config.threads or 1),
            Path(logs),
            kind=first.manifest.task,
            watch=lambda name: meter.watch(f"{name}, {kind}"),
        )
    return [_row(artifact, kind, measured[artifact.name], meter) for artifact in artifacts]


def _row(artifact: Artifact, kind: str, measured: Measurement, meter: EnergyMeter) -> Row:
    latencies_ms = measured.latencies_ms
    p50_ms, p90_ms, p99_ms = np.percentile(latencies_ms, (50, 90, 99)).tolist()
    name = f"{artifact.name}, {kind}"
    stretch, above_idle_j = meter.stretch(name), meter.above_idle_j(name)
    return Row(
        bundle=artifact.folder,
        target=str(artifact.target),
        texts=kind,
        engine=measured.engine,
        calls=latencies_ms.size,
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p99_ms=p99_ms,
        cold_start_ms=measured.cold_start_ms,
        resident_bytes=measured.resident_bytes,
        peak_bytes=measured.peak_bytes,
        power_w=stretch.power_w if stretch else None,
        energy_mj=None if above_idle_j is None else above_idle_j * 1000 / latencies_ms.size,
        latencies_ms=latencies_ms.round(4).tolist(),
    )


def _threads(bundle: Bundle) -> int:
    return bundle.manifest.targets[0].threads


def _about(bundle: Bundle) -> dict[str, Any]:
    """The manifest's hash stands for the bundle: the manifest has the hashes of all files."""
    return {
        "folder": str(bundle.root),
        "name": bundle.manifest.name,
        "created": bundle.manifest.created,
        "manifest_sha256": hash_file(bundle.root / MANIFEST),
        "bytes": sum(path.stat().st_size for path in bundle.root.rglob("*") if path.is_file()),
    }


def _write(out: Path, content: dict[str, Any]) -> None:
    unfinished = out.with_name(f".{out.name}.unfinished")
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
    unfinished.replace(out)

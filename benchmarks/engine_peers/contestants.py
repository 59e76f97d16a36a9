"""Who takes part: a table of peers, and the bundles that are given."""

import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine_peers.models import once
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.calibrate import calibrate
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, GuardConfig, QuantizeConfig
from pocketbert.deploy.quantize import quantize
from pocketbert.eval.int8_guard import guard_int8

BENCHMARKS = Path(__file__).parent.parent
REFERENCE = "pytorch_eager"
BASELINE = "onnxruntime_fp32"
ONNX_INT8 = ("optimum_int8", "olive_int8")
# Of what auto builds, those that may win somewhere.
CANDIDATES = ("onnxruntime-int8", "onnxruntime-int8-dynamic", "openvino-int8", "openvino-float")
FIXED_LENGTHS = (16, 32, 128, 384)
EXAMPLES = 128
GUARD = GuardConfig(min_agreement=0.99)


@dataclass(frozen=True)
class Peer:
    """An engine of the table.

    Attributes:
        name: Its name in the results.
        title: Its name in the chart.
        module: File of this folder that builds and opens it.
        engine: Which of the file's engines.
        environment: Folder below --peers; empty for pocketbert's own environment.
        needs_weights: It cannot start from an ONNX graph.
    """

    name: str
    title: str
    module: str
    engine: str = ""
    environment: str = ""
    needs_weights: bool = False


PEERS = (
    Peer(REFERENCE, "PyTorch eager FP32", "pytorch", "eager"),
    Peer("pytorch_compile_bf16", "torch.compile BF16", "pytorch", "compile_bf16"),
    Peer(BASELINE, "ONNX Runtime FP32", "onnx_runtime"),
    Peer("optimum_int8", "optimum INT8", "optimum_int8", environment="optimum"),
    Peer("olive_int8", "Olive INT8", "olive_int8", environment="olive"),
    Peer("openvino_fp32", "OpenVINO FP32", "openvino_engines", "fp32", "openvino"),
    Peer("openvino_bf16", "OpenVINO BF16", "openvino_engines", "bf16", "openvino"),
    Peer("openvino_int8", "OpenVINO INT8", "openvino_engines", "int8", "openvino"),
    Peer("openvino_int8_bf16", "OpenVINO INT8, BF16", "openvino_engines", "int8_bf16", "openvino"),
    Peer(
        "ctranslate2_int8",
        "CTranslate2 INT8",
        "ctranslate2_int8",
        environment="ctranslate2",
        needs_weights=True,
    ),
)


@dataclass(frozen=True)
class Contestant:
    """One engine on one model, ready to be opened by a worker.

    Attributes:
        name: Its name in the results; ours begin with `ours/`.
        title: Its name in the chart.
        python: Interpreter of its environment.
        setup: What its worker is told, but for threads and processors.
    """

    name: str
    title: str
    python: str
    setup: dict[str, Any] = field(repr=False)


def contestants(
    model: str, source: dict[str, Any], work: Path, options: Namespace
) -> tuple[list[Contestant], dict[str, str]]:
    """Build what is not built yet.

    Returns:
        Contestants, and by name why others are missing.
    """
    found, missing = [], {}
    for peer in PEERS:
        if options.engines and peer.name not in (REFERENCE, BASELINE, *options.engines):
            continue
        if peer.needs_weights and not source["weights"]:
            missing[peer.name] = "reads transformers' weights, which cannot say pruned widths"
            continue
        python = python_of(peer.environment, options.peers)
        if python is None:
            missing[peer.name] = "its environment is not there (engine_peers/setup.py makes it)"
            continue
        folder = work / "built" / peer.module
        failure = built(peer.module, python, source, folder)
        if failure:
            missing[peer.name] = f"could not be built: {failure}"
            continue
        setup = {"module": peer.module, "engine": peer.engine, "source": source}
        found.append(
            Contestant(peer.name, peer.title, python, setup | {"folder": str(folder.resolve())})
        )
    return found + ours(model, source, work, options), missing


def python_of(environment: str, peers: Path | None) -> str | None:
    if not environment:
        return sys.executable
    if peers is None:
        return None
    if not (peers / environment / "installed.txt").is_file():
        return None
    return str((peers / environment / "bin" / "python").absolute())


def built(module: str, python: str, source: dict[str, Any], folder: Path) -> str:
    """Build a peer's files in its environment; returns what went wrong, or nothing."""
    log = folder.with_name(f"{folder.name}.log")

    def build(out: Path) -> None:
        asked = {"module": module, "source": source, "out": str(out.resolve())}
        with log.open("w") as said:
            subprocess.run(
                [python, "-m", "engine_peers.build"],
                input=json.dumps(asked),
                text=True,
                cwd=BENCHMARKS,
                stdout=said,
                stderr=said,
                check=True,
            )

    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        once(folder, build)
    except subprocess.CalledProcessError:
        return last_words(log)
    return ""


def last_words(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def ours(model: str, source: dict[str, Any], work: Path, options: Namespace) -> list[Contestant]:
    """The bundles given for this model; without any, what `auto` would build to choose from."""
    given = [one for one in options.ours if one["model"] == model]
    if not given:
        guarded = model != "base"  # random weights decide between labels by a hair
        once(work / "bundle", lambda out: make_bundle(source, options.data, guarded, out))
        bundle = work / "bundle" / "compiled" / "bundle"
        given = [
            {"name": target.name, "bundle": str(bundle), "target": target.name}
            for target in read_bundle(bundle).manifest.targets
            if target.name in CANDIDATES
        ]
    return [
        Contestant(
            f"ours/{one['name']}",
            f"pocketbert {one['name']}",
            sys.executable,
            {
                "module": "ours",
                "engine": "",
                "folder": str(Path(one["bundle"]).resolve()),
                "source": {"target": one["target"], "manifest": hash_of_manifest(one["bundle"])},
            },
        )
        for one in given
    ]


def hash_of_manifest(bundle: str) -> str:
    """A bundle made anew in the same place is another one."""
    return sha256((Path(bundle) / "manifest.json").read_bytes()).hexdigest()


def make_bundle(source: dict[str, Any], data: Path, guarded: bool, out: Path) -> None:
    exported = Path(source["exported"])
    for name in ("calibrated", "static", "guarded", "dynamic", "compiled"):
        (out / name).mkdir()
    calibrated = out / "calibrated"
    calibrate(out=calibrated, examples=EXAMPLES, data=data, exported=exported)
    static, dynamic = (
        QuantizeConfig(calibration="mse", guard=GUARD),
        QuantizeConfig(method="dynamic"),
    )
    quantize(out=out / "dynamic", config=dynamic, calibrated=None, exported=exported)
    quantize(out=out / "static", config=static, calibrated=calibrated, exported=exported)
    if guarded:
        guard_int8(
            out=out / "guarded",
            config=static,
            data=data,
            exported=exported,
            calibrated=calibrated,
            quantized=out / "static",
        )
    compile_bundle(
        out=out / "compiled",
        config=CompileConfig(target="auto", lengths=FIXED_LENGTHS),
        data=data,
        exported=exported,
        quantized=out / ("guarded" if guarded else "static"),
        dynamic=out / "dynamic",
        lineage={},
        name="engines",
    )

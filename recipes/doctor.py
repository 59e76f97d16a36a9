"""What this machine can run, and what to install for the rest."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.runners import RUNNERS, why_not
from pocketbert.deploy.tensorrt_engines import Record, cache_folder, records
from pocketbert.eval.environment import describe_environment

EXTRAS = {
    "run a bundle": ("pocketbert", ("numpy", "onnxruntime", "tokenizers")),
    "score anything on a labelled file": (
        "pocketbert[report]",
        ("scipy", "scikit-learn", "pyarrow"),
    ),
    "drive an engine with MLPerf LoadGen": ("pocketbert[report]", ("mlcommons-loadgen",)),
    "run a recipe": (
        "pocketbert[compress,report]",
        (
            "torch",
            "transformers",
            "accelerate",
            "safetensors",
            "onnx",
            "filelock",
            "pypi-simple",
            "requests",
            "scipy",
            "matplotlib",
            "jinja2",
            "psutil",
        ),
    ),
    "sign a bundle, verify a signature": (
        "pocketbert[sign]",
        ("model-signing", "cryptography", "pyOpenSSL"),
    ),
    "run OpenVINO targets": ("pocketbert[openvino]", ("openvino",)),
    "serve a bundle": ("pocketbert[serve]", ("fastapi", "uvicorn", "prometheus-client")),
    "read Parquet files": ("pocketbert[compress]", ("pyarrow",)),
    "load data sets from the hub": ("pocketbert[compress]", ("datasets",)),
}
# Packages that are imported by another name than they are installed by.
INSTALLED_AS = {"sklearn": "scikit-learn", "mlperf_loadgen": "mlcommons-loadgen"}
LAYOUTS = {
    "x86_64_vnni": "unsigned activations with VNNI products",
    "x86_64": "unsigned activations, weights narrowed because products may saturate without VNNI",
    "arm64": "signed activations and weights",
    "any": "none; this processor runs bundles in FP32",
}


def extra_with(module: str) -> str | None:
    """Return the smallest requirement that brings a missing module, or None if none does."""
    name = module.partition(".")[0]
    for requirement, packages in EXTRAS.values():
        if INSTALLED_AS.get(name, name.replace("_", "-")) in packages:
            return requirement
    return None


@dataclass(frozen=True)
class Ability:
    """Something that pocketbert does, and the packages that it needs.

    Attributes:
        name: What is done.
        versions: Installed packages.
        missing: Packages that are not installed.
        install: The command that installs them; empty if nothing is missing.
    """

    name: str
    versions: dict[str, str]
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class Diagnosis:
    """A machine as pocketbert sees it.

    Attributes:
        pocketbert: Installed version.
        python: Version.
        system: Operating system.
        cpu: Model name.
        cpus: Processors that this process may use.
        instruction_sets: Those that matter for INT8 and BF16.
        bfloat16: The processor multiplies BF16 natively.
        int8_isa: What `compile.isa: auto` becomes here.
        int8_layout: What that means.
        memory_bytes: Installed, where it can be read.
        free_disk_bytes: In the current folder.
        torch_threads: Threads that training will use.
        targets: Each target, and whether or why not it runs here.
        engines: What `pocketbert build` built here, or fell back from, a sentence each.
        abilities: What can be done here.
    """

    pocketbert: str
    python: str
    system: str
    cpu: str
    cpus: int
    instruction_sets: tuple[str, ...]
    bfloat16: bool
    int8_isa: str
    int8_layout: str
    memory_bytes: int | None
    free_disk_bytes: int
    torch_threads: int
    targets: dict[str, str]
    engines: tuple[str, ...]
    abilities: tuple[Ability, ...]


def diagnose() -> Diagnosis:
    """Look at this machine; imports no heavy library and changes nothing."""
    environment = describe_environment()
    isa = available_isas()[0]
    return Diagnosis(
        pocketbert=_version("pocketbert") or "not installed",
        python=platform.python_version(),
        system=environment.system,
        cpu=environment.cpu,
        cpus=environment.cpus,
        instruction_sets=environment.instruction_sets,
        bfloat16=any("BF16" in name for name in environment.instruction_sets),
        int8_isa=isa,
        int8_layout=LAYOUTS[isa],
        memory_bytes=environment.memory_bytes,
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
        torch_threads=int(os.environ.get("OMP_NUM_THREADS") or environment.cpus),
        targets=_targets(),
        engines=tuple(_engine(record) for record in records(cache_folder())),
        abilities=tuple(_ability(name, *needs) for name, needs in EXTRAS.items()),
    )


def _targets() -> dict[str, str]:
    return {name: _target(name, row.package) for name, row in RUNNERS.items()}


def _target(runtime: str, package: str) -> str:
    reason = why_not(runtime)
    return f"missing: {reason}" if reason else f"ready ({package} {_version(package)})"


def _engine(record: Record) -> str:
    name = f"{record.bundle}, {record.target} ({record.precision})"
    if record.failure is None:
        return f"{name}: built on {record.key.place}"
    instead = f"; {record.fallback} runs instead" if record.fallback else ""
    return f"{name}: did not build on {record.key.place}: {record.failure}{instead}"


def _ability(name: str, extra: str, packages: tuple[str, ...]) -> Ability:
    found = {package: _version(package) for package in packages}
    missing = tuple(package for package, version in found.items() if version is None)
    return Ability(
        name,
        {package: version for package, version in found.items() if version},
        missing,
        f"pip install '{extra}'" if missing else "",
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

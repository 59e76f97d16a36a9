"""Builds the C++ runtime for tests and benchmarks, and only what is not built already."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import onnxruntime
from filelock import FileLock

from pocketbert.compress.target_tokenizer import train_target_tokenizer

from . import unigram_variants
from .cpp_texts import make_texts

SOURCE = Path(__file__).parents[2] / "deploy/cpp"
NEEDED = ("cmake", "c++", "apt-get", "dpkg")
FUZZERS = ("fuzz_tokenizer", "fuzz_manifest")
HEADERS = (Path("/usr/include/nlohmann/json.hpp"), Path("/usr/include/openssl/evp.h"))


class BuildError(Exception):
    """A command failed."""


def why_not() -> str | None:
    """Why nothing can be built here; None if it can."""
    if platform.system() != "Linux":
        return "the C++ runtime is built on Linux"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    missing += [str(path) for path in HEADERS if not path.is_file()]
    if missing:
        return (
            f"not found: {', '.join(missing)} "
            "(apt-get install cmake g++ nlohmann-json3-dev libssl-dev)"
        )
    return None


def get_onnxruntime(folder: Path) -> Path:
    """ONNX Runtime's library and headers.

    Raises:
        BuildError: They cannot be downloaded.
    """
    with alone(folder):
        if not (folder / "lib/libonnxruntime.so").exists():
            run([SOURCE / "get_onnxruntime.sh", folder])
    return folder


def alone(folder: Path) -> FileLock:
    """Tests run in several processes, which share what is built."""
    return FileLock(folder.with_suffix(".lock"))


def python_has_the_same_onnxruntime(folder: Path) -> bool:
    """Whether both languages run the same kernels."""
    return (folder / f"lib/libonnxruntime.so.{onnxruntime.__version__}").exists()


def build(folder: Path, *, compiler: str = "c++", **options: str | bool) -> Path:
    """Configure and build; options are CMake's variables."""
    defines = [
        f"-D{name}={value if isinstance(value, str) else int(value)}"
        for name, value in options.items()
    ]
    with alone(folder):
        run(["cmake", "-S", SOURCE, "-B", folder, f"-DCMAKE_CXX_COMPILER={compiler}", *defines])
        run(["cmake", "--build", folder, "--parallel", str(os.cpu_count())])
    return folder


def run(command: list[str | Path]) -> str:
    """Run a command and return what it printed.

    Raises:
        BuildError: It failed; with what it printed last.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BuildError(f"{command}: {done.stdout[-4000:]}")
    return done.stdout


def build_fuzzers(folder: Path, onnxruntime_folder: Path) -> Path:
    """Build libFuzzer's programs under both sanitizers."""
    return build(
        folder,
        compiler="clang++",
        OnnxRuntime_ROOT=str(onnxruntime_folder),
        POCKETBERT_FUZZ=True,
        POCKETBERT_SANITIZE=True,
    )


def fuzz(
    build_folder: Path,
    fuzzer: str,
    bundle: Path,
    scratch: Path,
    seconds: int,
    tokenizer: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Fuzz for a while, from the files of a bundle and a few texts; a finding is an exit code.

    Texts are given to the bundle's tokenizer, or to another one.
    """
    corpus = scratch / "corpus"
    corpus.mkdir()
    for name in ("manifest.json", "tokenizer.json"):
        shutil.copy(bundle / name, corpus / name)
    unigram_variants.tiny().save(str(corpus / "unigram.json"), pretty=False)
    train_target_tokenizer(["a film", "片"], 20).save(corpus)
    for number, text in enumerate(make_texts(200, seed=11)):
        (corpus / str(number)).write_bytes(text.encode())
    return subprocess.run(
        [
            build_folder / "tests" / fuzzer,
            corpus,
            f"-max_total_time={seconds}",
            "-max_len=16384",
            "-timeout=20",
            "-print_final_stats=1",
            f"-artifact_prefix={scratch}/",
        ],
        env={**os.environ, "FUZZ_TOKENIZER": str(tokenizer or bundle / "tokenizer.json")},
        capture_output=True,
        text=True,
    )

"""An ARM64 machine under emulation for tests and benchmarks, set up only if it is not there yet."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketbert.deploy.bundle import GOLDEN, TOKENIZER, Bundle, Target, write_bundle

from . import cpp_build

SETUP = cpp_build.SOURCE / "aarch64"
ANSWERS = Path(__file__).with_name("print_answers.py")
NEEDED = ("qemu-aarch64-static", "aarch64-linux-gnu-g++", "cmake", "apt-get", "dpkg-deb")
HEADER = Path("/usr/include/nlohmann/json.hpp")
NAMESPACE = Path(__file__).parents[2] / ".namespace"
COMMAND_LINE = "from pocketbert.recipes.cli import main; main()"


def why_not() -> str | None:
    """Why there can be no such machine here; None if it can."""
    if platform.system() != "Linux":
        return "ARM64 is emulated on Linux"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    missing += [str(HEADER)] * (not HEADER.is_file())
    if missing:
        return f"not found: {', '.join(missing)} (as root: deploy/cpp/aarch64/setup.sh FOLDER)"
    return None


@dataclass(frozen=True)
class Arm64Machine:
    """What `deploy/cpp/aarch64/setup.sh` left in a folder, and the C++ runtime built for it."""

    folder: Path

    @property
    def _build(self) -> Path:
        return self.folder / "build"

    def cpp(self, program: str, *arguments: object, data: bytes = b"") -> str:
        """Run a program of the C++ runtime, and return what it printed."""
        return _output(self.start_cpp(program, *arguments, data=data))

    def start_cpp(
        self, program: str, *arguments: object, data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the C++ runtime."""
        command: list[str | Path] = [self.folder / "run", self._build / program]
        command += map(str, arguments)
        return subprocess.run(command, input=data, capture_output=True)

    def pocketbert(self, *words: object) -> subprocess.CompletedProcess[bytes]:
        """Run the command line in ARM64 Python."""
        return self._python("-c", COMMAND_LINE, *words)

    def answers(self, bundle: Path, texts: Sequence[str], **options: Any) -> dict[str, Any]:
        """What `print_answers.py` says in ARM64 Python."""
        request = {"bundle": str(bundle), "texts": list(texts), **options}
        found: dict[str, Any] = json.loads(
            _output(self._python(ANSWERS, data=json.dumps(request).encode()))
        )
        return found

    def _python(self, *words: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.folder / "python", *map(str, words)],
            input=data,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(NAMESPACE)},
        )


def set_up(folder: Path) -> Arm64Machine:
    """Set up the machine and build the C++ runtime for it.

    Raises:
        BuildError: Something cannot be downloaded, or the runtime does not compile.
    """
    made_for = folder / "made-for"
    wanted = "".join((SETUP / name).read_text() for name in ("setup.sh", "debs.txt", "wheels.txt"))
    if not made_for.is_file() or made_for.read_text() != wanted:
        cpp_build.run(["env", f"PYTHON={sys.executable}", SETUP / "setup.sh", folder])
        made_for.write_text(wanted)
    cpp_build.build(
        folder / "build",
        compiler="aarch64-linux-gnu-g++",
        CMAKE_TOOLCHAIN_FILE=str(SETUP / "toolchain.cmake"),
        POCKETBERT_AARCH64=str(folder),
        POCKETBERT_TESTS=True,
    )
    return Arm64Machine(folder)


def for_any_machine(bundle: Bundle, target: Target, out: Path) -> Path:
    """A bundle of one target that says of itself that any machine may open it."""
    names = (TOKENIZER, GOLDEN, target.path)
    files = {name: bundle.root / name for name in names}
    write_bundle(out, files, replace(bundle.manifest, targets=(replace(target, isa="any"),)))
    return out


def records(texts: Sequence[str], more: str = "") -> bytes:
    """Texts as the C++ programs for tests read them."""
    encoded = [text.encode() for text in texts]
    return b"".join(f"{len(text)}{more}\n".encode() + text for text in encoded)


def _output(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode:
        raise cpp_build.BuildError(f"{done.args}: {done.stderr.decode()[-4000:]}")
    return done.stdout.decode()

"""A clean Python environment as a device has it: the wheel and what it needs, nothing else.

For tests and benchmarks. A Python is looked for on the PATH and among pyenv's.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
JETPACK = {"3.10": "JetPack 6", "3.12": "JetPack 7"}
LIST = """
import importlib.metadata as metadata, json
names = {found.metadata["Name"].lower().replace("_", "-"): found.version
         for found in metadata.distributions()}
print(json.dumps(names))
"""


@dataclass(frozen=True)
class Environment:
    """An environment with pocketbert in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run its Python away from this repository, with nothing of the caller's environment."""
        command = [str(self.python), *map(str, arguments)]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def pocketbert(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run("-I", self.folder / "bin/pocketbert", *arguments)

    def packages(self) -> dict[str, str]:
        """Version of every installed package."""
        found: dict[str, str] = json.loads(self.run("-I", "-c", LIST).stdout)
        return dict(sorted(found.items()))

    def package_bytes(self) -> int:
        """Size of all that is installed, without what Python compiles of it."""
        files = (self.folder / "lib").rglob("*")
        return sum(f.stat().st_size for f in files if f.is_file() and f.suffix != ".pyc")


def find_python(version: str) -> Path | None:
    """A Python of this minor version, if there is one."""
    pyenv = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    found = shutil.which(f"python{version}")
    candidates = [*pyenv, *([Path(found)] if found else [])]
    for candidate in candidates:
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


def build_wheel(out: Path) -> Path:
    """Build pocketbert's wheel from a copy, so that the repository stays as it is."""
    source = out / "source"
    ignored = shutil.ignore_patterns(".*", "runs", "tests", "benchmarks", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignored)
    _pip("wheel", "--no-deps", "--wheel-dir", out, source)
    return next(out.glob("pocketbert-*.whl"))


def make_environment(python: Path, folder: Path, wheel: Path) -> Environment:
    """Install the wheel alone, with the versions that the tests are run with."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    made = Environment(folder)
    _pip("--python", made.python, "install", "-c", ROOT / "constraints.txt", wheel)
    return made


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "-q", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-2000:]}")

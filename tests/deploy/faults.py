"""Faults that a bundle meets on its way to a device; what is said of them, and what is left.

For tests and for `benchmarks/devices.py`. Every fault is planted in a copy and met by the command
line; a full disk is a real one, a file system of a few megabytes.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketbert.deploy.cpu import available_isas

COMMAND = [sys.executable, "-c", "from pocketbert.recipes.cli import main; main()"]
REPLACE_BUNDLE = """
import json, sys
from pathlib import Path
from pocketbert.compress.errors import UserError
from pocketbert.deploy.bundle import read_bundle, write_bundle
from pocketbert.recipes.storage import disk_problems_explained

source, disk = map(Path, sys.argv[1:])
bundle = read_bundle(source)
files = {name: source / name for name in bundle.manifest.sha256}
write_bundle(disk / "bundle", files, bundle.manifest)
said = None
try:
    with disk_problems_explained(disk):
        write_bundle(disk / "bundle", files, bundle.manifest)
except UserError as error:
    said = str(error)
whole = read_bundle(disk / "bundle").manifest == read_bundle(source).manifest
print(json.dumps({"said": said, "files": sorted(p.name for p in disk.iterdir()), "whole": whole}))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault.

    Attributes:
        said: The message, paths shortened to names.
        exit_code: Of the command; None where no command was run.
        left_behind: What lies there afterwards that did not before.
        whole: What was there before is as it was.
    """

    said: str
    exit_code: int | None
    left_behind: tuple[str, ...]
    whole: bool


def truncate(bundle: Path) -> None:
    model = model_of(bundle)
    model.write_bytes(model.read_bytes()[:-100])


def flip(bundle: Path) -> None:
    content = bytearray(model_of(bundle).read_bytes())
    content[len(content) // 2] ^= 1
    model_of(bundle).write_bytes(content)


def misstate_hash(bundle: Path) -> None:
    change(bundle, lambda manifest: manifest["sha256"].update({"golden.json": "0" * 64}))


def remove_tokenizer(bundle: Path) -> None:
    (bundle / "tokenizer.json").unlink()


def from_the_future(bundle: Path) -> None:
    change(bundle, lambda manifest: manifest.update(schema_version=99, quantum=True))


def for_another_device(bundle: Path) -> None:
    foreign = "arm64" if "arm64" not in available_isas() else "x86_64"

    def foreign_only(manifest: dict[str, Any]) -> None:
        for target in manifest["targets"]:
            target["isa"] = foreign

    change(bundle, foreign_only)


# Fault -> how it is planted, and a part of what has to be said.
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated file": (truncate, "does not have the hash that the manifest states"),
    "flipped byte": (flip, "does not have the hash that the manifest states"),
    "wrong hash": (misstate_hash, "golden.json does not have the hash"),
    "missing tokenizer": (remove_tokenizer, "lacks tokenizer.json, expected a whole bundle"),
    "future schema": (from_the_future, "has schema version 99, this pocketbert reads up to"),
    "engine from another device": (for_another_device, "this processor has"),
}


def meet(name: str, bundle: Path, scratch: Path) -> Outcome:
    """Plant a fault in a copy of a bundle and let `pocketbert predict` meet it."""
    copy = scratch / "bundle"
    shutil.copytree(bundle, copy)
    plant, _ = FAULTS[name]
    plant(copy)
    before = contents(scratch)
    done = subprocess.run([*COMMAND, "predict", copy, "a film"], capture_output=True, text=True)
    after = contents(scratch)
    return Outcome(
        done.stderr.strip().replace(f"{scratch}/", ""),
        done.returncode,
        tuple(sorted(after.keys() - before.keys())),
        all(after.get(path) == content for path, content in before.items()),
    )


def fill_disk(bundle: Path, disk: Path) -> Outcome:
    """Replace a bundle by itself on a disk that has room for one and a half.

    Raises:
        PermissionError: This user may not mount a file system, not even for one process.
    """
    half_more = sum(f.stat().st_size for f in bundle.rglob("*") if f.is_file()) * 3 // 2
    mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift && exec "$2" -c "$3" "$4" "$1"'
    disk.mkdir()
    done = subprocess.run(
        [
            *("unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"),
            *(str(half_more), str(disk), sys.executable, REPLACE_BUNDLE, str(bundle)),
        ],
        capture_output=True,
        text=True,
    )
    if "permitted" in done.stderr or "denied" in done.stderr:
        raise PermissionError(done.stderr.strip())
    found = json.loads(done.stdout)
    said = (found["said"] or "nothing").replace(f"{disk}/", "")
    left_behind = tuple(name for name in found["files"] if name != "bundle")
    return Outcome(said, None, left_behind, found["whole"])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def model_of(bundle: Path) -> Path:
    """The first target's file."""
    path: str = json.loads((bundle / "manifest.json").read_text())["targets"][0]["path"]
    return bundle / path


def change(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a manifest."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))

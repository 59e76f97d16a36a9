"""Kill a run with SIGKILL once inside every stage, start it again, and compare the end.

    python benchmarks/kill.py

Uses the tiny recipe of the tests, with texts to transfer, weights to make zero and a vocabulary to
trim. For each stage the run is started and killed as soon as the stage has begun and written
something; the next start goes on. A training killed so early has no checkpoint yet; that one
resumes in its midst is shown by the test suite. At the very end every file of the stages must have
the bytes that an undisturbed run wrote. What is measured (evaluate, report) differs from run to run
by nature, so of these only the accuracies are compared.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import environment, write_results

ROOT = Path(__file__).parents[1]
POCKETBERT = str(Path(sys.executable).with_name("pocketbert"))
MEASURED = ("evaluate", "report")
WRITES_NOTHING = ("check-tokenizers",)  # killed as soon as it has begun


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        recipe = make_tiny_recipe(Path(scratch))
        undisturbed, killed = Path(scratch) / "undisturbed", Path(scratch) / "killed"
        run(recipe, undisturbed)
        rows = [kill_in(stage, recipe, killed) for stage in stages_of(recipe)]
        run(recipe, killed)
        for row in rows:
            row["same_result"] = same(row["stage"], undisturbed, killed)
    print(f"{'stage':<18}{'killed after':>14}{'left files':>12}  same result")
    for row in rows:
        print(
            f"{row['stage']:<18}{row['seconds_in_stage']:>12.1f} s{row['left_files']!s:>10}"
            f"  {row['same_result']}"
        )
    write_results(
        "kill",
        environment=environment(),
        rows=rows,
        bars=[
            {
                "name": "stages killed that end with the undisturbed bytes",
                "value": sum(row["same_result"] for row in rows),
                "target": len(rows),
                "holds": all(row["same_result"] for row in rows),
            }
        ],
    )


def make_tiny_recipe(folder: Path) -> Path:
    """Let the tests' own fixtures make checkpoint, data and recipe."""
    script = folder / "test_make.py"
    script.write_text(
        "import shutil, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from conftest import *\n"
        "from test_end_to_end import recipe\n"
        "def test_make(recipe, tiny_checkpoint, tiny_data):\n"
        f"    target = {str(folder)!r}\n"
        "    text = recipe.read_text() + 'trim: {}\\n'\n"
        "    text += 'sparsify: {pattern: unstructured, sparsity: 0.5}\\n'\n"
        "    text += 'transfer: {augment: {mixed: {variants: 1}}}\\n'\n"
        "    for source in (tiny_checkpoint, tiny_data):\n"
        "        shutil.copytree(source, f'{target}/{source.name}')\n"
        "        text = text.replace(str(source), f'{target}/{source.name}')\n"
        "    open(f'{target}/tiny.yaml', 'w').write(text)\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(script)],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    return folder / "tiny.yaml"


def run(recipe: Path, work: Path) -> None:
    subprocess.run(
        [POCKETBERT, "run", str(recipe), "--work", str(work), "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def stages_of(recipe: Path) -> list[str]:
    """Names of the stages in the order in which they are done."""
    command = [POCKETBERT, "check", str(recipe), "--json"]
    checked = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(json.loads(checked.stdout)["cached"])


def kill_in(stage: str, recipe: Path, work: Path) -> dict[str, object]:
    """Start a run, kill it inside the stage, and say whether it left something to resume."""
    process = subprocess.Popen(
        [POCKETBERT, "run", str(recipe), "--work", str(work), "--until", stage],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(f"{stage}: "):
            break
    else:
        raise SystemExit(f"{stage} never began:\n{''.join(said)}")
    started_s = time.monotonic()
    folder = next((work / "stages").glob(f"{stage}-[0-9a-f]*[0-9a-f]"))
    while process.poll() is None and time.monotonic() - started_s < 20:
        if stage in WRITES_NOTHING or any(path.is_file() for path in folder.rglob("*")):
            break
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if (folder / "stage.json").exists():
        raise SystemExit(f"{stage} ended before it could be killed")
    return {
        "stage": stage,
        "seconds_in_stage": time.monotonic() - started_s,
        "left_files": any(path.is_file() for path in folder.rglob("*")),
    }


def same(stage: object, undisturbed: Path, killed: Path) -> bool:
    one, other = (
        next((work / "stages").glob(f"{stage}-[0-9a-f]*[0-9a-f]")) for work in (undisturbed, killed)
    )
    if stage in MEASURED:
        return accuracies(undisturbed) == accuracies(killed)
    return digests(one) == digests(other)


def accuracies(work: Path) -> list[float]:
    results = json.loads((work / "tiny/report.json").read_text())["results"]
    return [artifact["accuracy"]["value"] for artifact in results["artifacts"]]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("stage.json", "manifest.json")
    }


if __name__ == "__main__":
    main()

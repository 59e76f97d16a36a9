"""A bundle opens in optimum's class and its tokenizer in transformers: the same logits.

optimum does not go together with transformers 5, so it gets an environment of its own, which
borrows torch from this one. Needs the package index and some minutes: marked slow.
"""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

READER = Path(__file__).parents[2] / "benchmarks/optimum_reader.py"
PACKAGES = ("optimum-onnx==0.1.0", "transformers==4.57.6", "onnxruntime==1.31.1")


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimum")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    library = next(folder.glob("lib/python*/site-packages"))
    # Behind its own packages, so that only what is missing there is found here: torch.
    (library / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "-q", "--python", python, "install", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return python


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_the_ecosystem_s_classes_give_the_golden_logits(peer, request, name):
    bundle = request.getfixturevalue(name).bundle
    done = subprocess.run([peer, READER, bundle], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["transformers"].startswith("4.")
    golden = json.loads((bundle / "golden.json").read_text())
    answers = next(iter(golden["targets"].values()))
    difference = np.abs(np.array(found["logits"]) - np.array(answers["logits"])).max()
    assert difference <= answers["tolerance"]

"""A bundle's ONNX folder in optimum's own class, its tokenizer in transformers: the same logits?

    python -m venv peer
    peer/bin/pip install torch==2.13.0 optimum-onnx==0.1.0 transformers==4.57.6 onnxruntime==1.31.1
    python benchmarks/optimum_classes.py runs/quickstart/bundle --python peer/bin/python

optimum-onnx does not go together with transformers 5: it lives in an environment of its own.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
from report import environment, write_results

READER = Path(__file__).with_name("optimum_reader.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="of optimum's environment")
    options = parser.parse_args()
    said = subprocess.run(
        [options.python.absolute(), READER, options.bundle],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(said.stdout.splitlines()[-1])
    golden = json.loads((options.bundle / "golden.json").read_text())
    target = json.loads((options.bundle / "manifest.json").read_text())["targets"][0]["name"]
    answers = golden["targets"][target]
    difference = float(np.abs(np.array(found["logits"]) - np.array(answers["logits"])).max())
    write_results(
        "optimum_classes",
        environment=environment(),
        transformers=found["transformers"],
        opened=target,
        texts=len(golden["texts"]),
        bars=[
            {
                "name": "largest difference of a logit to the bundle's golden answers",
                "value": difference,
                "target": answers["tolerance"],
                "holds": difference <= answers["tolerance"],
            }
        ],
    )


if __name__ == "__main__":
    main()

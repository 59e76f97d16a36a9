"""Make the environments of the peers: `python benchmarks/engine_peers/setup.py FOLDER`.

One virtual environment a tool, because they need different versions of transformers. What is
there already is left alone. PyTorch and ONNX Runtime run in pocketbert's own environment. Takes
some 5 GB with CPU builds of torch, which pip takes where its index offers them (see README.md).
"""

import argparse
import subprocess
import venv
from pathlib import Path

# An open range of torch would take a CUDA build; optimum-onnx 0.1 needs transformers 4.
TORCH = ("torch==2.13.0",)
TRANSFORMERS_4 = ("transformers==4.57.6",)
ONNX = ("onnx==1.20.1", "onnxruntime==1.31.1")

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "optimum": (*TORCH, *TRANSFORMERS_4, *ONNX, "optimum==2.1.0", "optimum-onnx==0.1.0"),
    # olive-ai imports requests and does not ask for it.
    "olive": (*TORCH, *TRANSFORMERS_4, *ONNX, "olive-ai==0.13.0", "requests==2.34.2"),
    "openvino": ("openvino==2026.4.1", "nncf==3.4.0", "onnx==1.20.1"),
    "ctranslate2": (*TORCH, *TRANSFORMERS_4, "ctranslate2==4.8.5"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    options = parser.parse_args()
    for name in options.only:
        install(options.folder / name, ENVIRONMENTS[name])


def install(folder: Path, requirements: tuple[str, ...]) -> None:
    done = folder / "installed.txt"
    if done.is_file() and done.read_text().split() == list(requirements):
        return
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
    done.write_text("\n".join(requirements) + "\n")


if __name__ == "__main__":
    main()

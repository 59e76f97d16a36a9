"""ARM64: the quickstart's files under emulation, in Python and C++, beside this x86-64 machine.

    python benchmarks/arm64.py --work runs

Compiles the model of the quickstart (its stages are taken from the cache, else it is trained) in
FP32, and its INT8 both for this machine and for ARM64. Every file is then opened on both, and its
logits compared. Needs what `deploy/cpp/aarch64/setup.sh` installs. Nothing is timed: an emulator's
times say nothing about a device.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from report import environment, write_results

from pocketbert.compress.data import load_split
from pocketbert.deploy.bundle import Bundle, read_bundle
from pocketbert.deploy.targets.onnxruntime import count_matmuls
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.run import run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # what tests and this share

from tests.deploy import arm64_machine, cpp_build  # noqa: E402
from tests.deploy.arm64_machine import Arm64Machine, for_any_machine, records  # noqa: E402
from tests.deploy.cpp_texts import make_texts  # noqa: E402
from tests.deploy.print_answers import answers  # noqa: E402

TEXTS = 200
UNICODE_TEXTS = 2000
MAX_FLOAT_DIFFERENCE = 1e-4
MIN_INT8_AGREEMENT = 0.99
FLOAT, X86, ARM64 = "FP32", "INT8 for x86-64", "INT8 for ARM64"

Logits = dict[str, NDArray[np.float64]]  # by file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs"), help="with the stages' cache")
    parser.add_argument(
        "--machine", type=Path, default=ROOT / ".pytest_cache/d/arm64", help="kept between runs"
    )
    arguments = parser.parse_args()
    machine = arm64_machine.set_up(arguments.machine)
    data, both, float_bundle = compiled(arguments.work)
    texts = load_split(data, "test").texts[:TEXTS]
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        bundles = separated(both, float_bundle, scratch)
        here = {name: logits(answers(question(bundle, texts))) for name, bundle in bundles.items()}
        python = {name: logits(machine.answers(bundle, texts)) for name, bundle in bundles.items()}
        cpp = {name: cpp_logits(machine, bundle, texts) for name, bundle in bundles.items()}
        rows = compare(here, {"Python": python, "C++": cpp})
        tokens = compare_tokens(machine, bundles[FLOAT], texts)
        products = int8_products(machine, both, scratch)
    selftests = selftests_there(machine, both.root)
    for row in rows:
        print(
            f"{row['file']:<16} {row['there']:<7} {row['beside']:<16} "
            f"{row['max_abs_difference']:.2e} {row['label_agreement']:.4f}"
        )
    write_results(
        "arm64",
        environment=environment() | emulated(),
        bars=bars(rows, tokens, products, selftests),
        texts=len(texts),
        largest_logit={name: float(np.abs(values).max()) for name, values in here.items()},
        rows=rows,
        tokens=tokens,
        int8_products=products,
        selftests=selftests,
        logits={
            "here": lists(here),
            "ARM64, Python": lists(python),
            "ARM64, C++": lists(cpp),
        },
    )


def compiled(work: Path) -> tuple[Path, Bundle, Bundle]:
    """The data stage, the bundle with INT8 for both processors, and one in FP32."""
    int8 = run(load_recipe("quickstart", ["compile.also_isa=[arm64]"]), work, until="compile")
    floating = run(load_recipe("quickstart", ["quantize=null"]), work, until="compile")
    folders = {stage.name: stage.folder for stage in int8.stages}
    float_bundle = floating.stages[-1].folder / "bundle"
    return folders["data"], read_bundle(folders["compile"] / "bundle"), read_bundle(float_bundle)


def separated(both: Bundle, floating: Bundle, scratch: Path) -> dict[str, Path]:
    """One bundle a file that either machine opens."""
    x86, arm64 = both.manifest.targets
    sources = {FLOAT: (floating, floating.manifest.targets[0]), X86: (both, x86)}
    sources |= {ARM64: (both, arm64)}
    return {
        name: for_any_machine(bundle, target, scratch / f"{number}/bundle")
        for number, (name, (bundle, target)) in enumerate(sources.items())
    }


def question(bundle: Path, texts: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"bundle": str(bundle), "texts": list(texts), **more}


def logits(answered: dict[str, Any]) -> NDArray[np.float64]:
    return np.array(answered["logits"])


def cpp_logits(machine: Arm64Machine, bundle: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    lines = machine.cpp("tests/print_logits", bundle, data=records(texts)).splitlines()
    return np.array([json.loads(line) for line in lines])


def compare(here: Logits, there: dict[str, Logits]) -> list[dict[str, Any]]:
    """Every file on ARM64 beside itself on x86-64, and ARM64's INT8 beside x86-64's."""
    pairs = [*((name, name) for name in here), (ARM64, X86), (ARM64, FLOAT)]
    return [
        {"file": file, "there": language, "beside": beside} | difference(found[file], here[beside])
        for file, beside in pairs
        for language, found in there.items()
    ] + [
        {"file": file, "there": "here", "beside": beside} | difference(here[file], here[beside])
        for file, beside in ((X86, FLOAT), (ARM64, X86))
    ]


def difference(found: NDArray[np.float64], other: NDArray[np.float64]) -> dict[str, float]:
    assert found.shape == other.shape
    return {
        "max_abs_difference": float(np.abs(found - other).max()),
        "rms_difference": float(np.sqrt(((found - other) ** 2).mean())),
        "label_agreement": float((found.argmax(1) == other.argmax(1)).mean()),
    }


def compare_tokens(machine: Arm64Machine, bundle: Path, texts: Sequence[str]) -> dict[str, int]:
    """How many texts are cut into other tokens there."""
    asked = [*texts, *make_texts(UNICODE_TEXTS, seed=7)]
    limit = read_bundle(bundle).manifest.max_length
    here = answers(question(bundle, [], tokenized=asked))["input_ids"]
    python = machine.answers(bundle, [], tokenized=asked)["input_ids"]
    lines = machine.cpp(
        "tests/tokenize", bundle / "tokenizer.json", limit, data=records(asked, " -1")
    )
    cpp = [json.loads(line)["ids"] for line in lines.splitlines()]
    return {
        "texts": len(asked),
        "differ_in_python": sum(a != b for a, b in zip(python, here, strict=True)),
        "differ_in_cpp": sum(a != b for a, b in zip(cpp, here, strict=True)),
    }


def int8_products(machine: Arm64Machine, both: Bundle, scratch: Path) -> dict[str, int]:
    """Products with weights that the ARM64 library runs in INT8, and what the manifest says."""
    optimized = scratch / "optimized.onnx"
    machine.answers(both.root, [], optimized=str(optimized))
    int8, floats = count_matmuls(onnx.load_model(optimized))
    target = both.manifest.targets[1]
    return {
        "int8": int8,
        "float": floats,
        "int8_in_manifest": target.int8_matmuls,
        "float_in_manifest": target.float_weight_matmuls,
    }


def selftests_there(machine: Arm64Machine, bundle: Path) -> dict[str, Any]:
    """Self-tests of the bundle as it ships."""
    python = machine.pocketbert("selftest", bundle, "--json")
    cpp = machine.start_cpp("pocketbert-run", "--selftest", bundle)
    return {"Python": json.loads(python.stdout), "C++": json.loads(cpp.stdout)}


def bars(
    rows: list[dict[str, Any]],
    tokens: dict[str, int],
    products: dict[str, int],
    selftests: dict[str, Any],
) -> list[dict[str, Any]]:
    found = []
    for language in ("Python", "C++"):
        of = {(r["file"], r["beside"]): r for r in rows if r["there"] == language}
        found += [
            at_most(
                f"FP32, {language}: largest difference of a logit",
                of[FLOAT, FLOAT]["max_abs_difference"],
                MAX_FLOAT_DIFFERENCE,
            ),
            *(
                at_least(
                    f"{file}, {language}: labels of {beside} here",
                    of[file, beside]["label_agreement"],
                    MIN_INT8_AGREEMENT,
                )
                for file, beside in ((ARM64, ARM64), (X86, X86), (ARM64, X86))
            ),
            at_most(
                f"{language}: texts with other tokens", tokens[f"differ_in_{KEYS[language]}"], 0
            ),
            at_least(f"{language}: self-test passes", int(selftests[language]["passed"]), 1),
        ]
    return [
        *found,
        at_least("INT8 products of the manifest", products["int8"], products["int8_in_manifest"]),
    ]


KEYS = {"Python": "python", "C++": "cpp"}


def at_most(name: str, value: float, target: float) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": value <= target}


def at_least(name: str, value: float, target: float) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "holds": value >= target}


def lists(found: Logits) -> dict[str, list[list[float]]]:
    return {name: np.round(values, 6).tolist() for name, values in found.items()}


def emulated() -> dict[str, str]:
    """The emulator and the compiler, as they name themselves."""
    commands = {"emulator": "qemu-aarch64-static", "compiler": "aarch64-linux-gnu-g++"}
    return {
        name: cpp_build.run([program, "--version"]).splitlines()[0]
        for name, program in commands.items()
    } | {"emulated_processor": "Cortex-A76"}


if __name__ == "__main__":
    main()

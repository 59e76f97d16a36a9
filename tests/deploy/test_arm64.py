"""ARM64 under emulation answers as this machine does; each refuses what was made for the other."""

import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from packaging.requirements import Requirement

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import hash_file, read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.targets.onnxruntime import count_matmuls

from . import arm64_machine, cpp_build
from .arm64_machine import Arm64Machine, for_any_machine, records
from .cpp_texts import make_texts
from .print_answers import answers

ROOT = Path(__file__).parents[2]
TEXTS = [
    "",
    "the film is superb",
    "dull",
    "a Tender, GRIPPING story!",
    "café [SEP] 漢字",
    "b " * 90,
]
# Share of the largest logit that another processor may differ by in INT8: a value may fall on the
# other side of a rounding step.
INT8_TOLERANCE = 0.02
RECIPE = """
name: board
about: made-up reviews, for another processor
task: {{kind: text-classification, labels: [bad, good], max_length: 32}}
data: {{train: {reviews}, validation: 0.15, test: 0.2}}
teacher: {{model: {checkpoint}, training: {{epochs: 4, learning_rate: 3e-3, batch_size: 16}}}}
quantize: {{calibration_examples: 32}}
compile: {{isa: arm64}}
evaluate: {{latency_texts: 20}}
"""
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="this machine is not x86-64")


def compiled(stages, out: Path, *, quantized: bool = True, **config) -> Path:
    """The bundle of a model, by default for ARM64."""
    out.mkdir()
    compile_bundle(
        out=out,
        config=CompileConfig(**(config or {"isa": "arm64"})),
        data=stages.data,
        exported=stages.exported,
        quantized=stages.quantized if quantized else None,
        lineage={},
        name="tiny",
    )
    return out / "bundle"


@pytest.fixture(scope="module")
def for_arm64(bert, tmp_path_factory) -> Path:
    return compiled(bert, tmp_path_factory.mktemp("arm64") / "int8")


@pytest.fixture(scope="module")
def in_float(bert, tmp_path_factory) -> Path:
    return compiled(bert, tmp_path_factory.mktemp("arm64") / "float", quantized=False)


@pytest.fixture(scope="module")
def for_both(bert, tmp_path_factory) -> Path:
    return compiled(bert, tmp_path_factory.mktemp("arm64") / "both", also_isa=("arm64",))


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Arm64Machine:
    """Kept between runs, for it is a download of 100 MB."""
    reason = arm64_machine.why_not()
    if reason:
        pytest.skip(reason)
    try:
        return arm64_machine.set_up(Path(pytestconfig.cache.mkdir("arm64")))
    except cpp_build.BuildError as error:
        if "Could not resolve" in str(error) or "No matching distribution" in str(error):
            pytest.skip(f"what ARM64 needs could not be downloaded: {error}")
        raise


def test_what_is_installed_there_is_the_base_install():
    pinned = dict(
        line.split("==", 1)
        for line in re.findall(r"^[\w.-]+==[^ ]+", read("wheels.txt"), re.MULTILINE)
    )
    pinned = {normalized(name): version for name, version in pinned.items()}
    constraints = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    there = {"python_version": "3.11", "platform_machine": "aarch64"}
    tested = {
        normalized(one.name): str(one.specifier).removeprefix("==")
        for one in constraints
        if one.marker is None or one.marker.evaluate(there)
    }
    assert {name: tested.get(name) for name in pinned} == pinned
    project = (ROOT / "pyproject.toml").read_text()
    dependencies = project.split("dependencies = [", 1)[1].split("]", 1)[0]
    needed = {normalized(name) for name in re.findall(r'"([\w-]+)', dependencies)}
    assert needed <= pinned.keys()


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read(name: str) -> str:
    return (arm64_machine.SETUP / name).read_text()


@on_x86
def test_a_bundle_for_arm64_is_refused_here_in_one_sentence(for_arm64):
    with pytest.raises(BundleError) as refused:
        Engine.open(for_arm64)
    assert re.fullmatch(
        r"onnxruntime cannot run here: it was compiled for arm64, this processor has x86_64.*; "
        r"take the bundle to a machine that can, install what is missing, or compile for this "
        r"machine \(compile\.isa and compile\.target in the recipe\)",
        str(refused.value),
    )
    with pytest.raises(BundleError, match="compiled for arm64"):
        selftest(for_arm64)


@on_x86
def test_what_was_not_tested_when_it_was_compiled_is_said(bert, tmp_path, caplog):
    compiled(bert, tmp_path / "int8")
    assert "onnxruntime is not tested: it was compiled for arm64" in caplog.text
    assert "`pocketbert selftest` where it will run" in caplog.text


@on_x86
def test_a_bundle_for_two_processors_has_golden_answers_for_each(for_both):
    first, second = read_bundle(for_both).manifest.targets
    assert first.isa.startswith("x86_64")
    assert (second.name, second.isa) == ("onnxruntime-arm64", "arm64")
    golden = json.loads((for_both / "golden.json").read_text())["targets"]
    assert golden.keys() == {first.name, second.name}
    assert "onnxruntime: onnxruntime" in Engine.open(for_both).describe()
    with pytest.raises(BundleError, match="onnxruntime-arm64 cannot run here"):
        Engine.open(for_both, "onnxruntime-arm64")
    types = [activation_types(for_both / target.path) for target in (first, second)]
    assert types == [{onnx.TensorProto.UINT8}, {onnx.TensorProto.INT8}]


def activation_types(path: Path) -> set[int]:
    graph = onnx.load_model(path).graph
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {stored[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}


@pytest.mark.slow
@on_x86
def test_each_processor_takes_its_own_target_of_one_bundle(machine, for_both):
    assert selftest(for_both).passed
    there = json.loads(machine.pocketbert("selftest", for_both, "--json").stdout)
    assert there["passed"]
    assert there["engine"].startswith("onnxruntime-arm64: ")
    in_cpp = json.loads(machine.cpp("pocketbert-run", "--selftest", for_both))
    assert in_cpp == there


@pytest.mark.slow
def test_selftest_passes_there_in_both_languages(machine, for_arm64):
    done = machine.pocketbert("selftest", for_arm64, "--json")
    assert done.returncode == 0, done.stderr
    in_python = json.loads(done.stdout)
    in_cpp = json.loads(machine.cpp("pocketbert-run", "--selftest", for_arm64))
    for found in (in_python, in_cpp):
        assert found["passed"]
        assert found["texts_with_other_tokens"] == 0
        assert "int8 for arm64" in found["engine"]
        assert found["tolerance"] > 0
    assert in_python["max_abs_difference"] == in_cpp["max_abs_difference"]  # the same kernels


@pytest.mark.slow
def test_selftest_fails_there_where_the_golden_answers_are_others(machine, for_arm64, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(for_arm64, bundle)
    golden = json.loads((bundle / "golden.json").read_text())
    for one in golden["targets"].values():
        one["logits"][0][0] += 3 * one["tolerance"]
    (bundle / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sha256"]["golden.json"] = hash_file(bundle / "golden.json")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert machine.pocketbert("selftest", bundle).returncode == 3
    assert machine.start_cpp("pocketbert-run", "--selftest", bundle).returncode == 1


@pytest.mark.slow
@on_x86
def test_a_bundle_for_x86_is_refused_there(machine, bert):
    python = machine.pocketbert("selftest", bert.bundle)
    cpp = machine.start_cpp("pocketbert-run", "--selftest", bert.bundle)
    assert (python.returncode, cpp.returncode) == (2, 2)
    for said in (python.stderr, cpp.stderr):
        words = " ".join(said.decode().split())
        assert re.search(r"compiled for x86_64(_vnni)?, this processor has arm64; take the", words)


@pytest.mark.slow
def test_float_logits_are_those_of_this_machine(machine, in_float):
    here = np.array(answers({"bundle": in_float, "texts": TEXTS})["logits"])
    there = machine.answers(in_float, TEXTS)
    assert there["machine"] == "aarch64"
    assert np.abs(there["logits"] - here).max() <= 1e-4
    assert np.abs(cpp_logits(machine, in_float) - here).max() <= 1e-4
    assert np.ptp(here, axis=0).max() > 0.1  # answers that a mix-up would change


@pytest.mark.slow
@on_x86
@pytest.mark.parametrize("number", [0, 1], ids=["x86", "arm64"])
def test_int8_logits_of_a_file_are_those_of_this_machine(machine, for_both, tmp_path, number):
    both = read_bundle(for_both)
    bundle = for_any_machine(both, both.manifest.targets[number], tmp_path / "bundle")
    here = np.array(answers({"bundle": bundle, "texts": TEXTS})["logits"])
    there = np.array(machine.answers(bundle, TEXTS)["logits"])
    assert np.abs(there - here).max() <= INT8_TOLERANCE * np.abs(here).max()
    assert (there.argmax(1) == here.argmax(1)).all()
    assert np.abs(cpp_logits(machine, bundle) - there).max() <= 1e-5  # the same kernels


@pytest.mark.slow
def test_arm64_runs_as_many_products_in_int8_as_the_manifest_says(machine, for_arm64, tmp_path):
    machine.answers(for_arm64, ["film"], optimized=str(tmp_path / "optimized.onnx"))
    target = read_bundle(for_arm64).manifest.targets[0]
    found = count_matmuls(onnx.load_model(tmp_path / "optimized.onnx"))
    assert found == (target.int8_matmuls, target.float_weight_matmuls)
    assert target.int8_matmuls > 0


@pytest.mark.slow
def test_tokens_are_those_of_this_machine(machine, in_float):
    """The bundle in float, for both machines open it."""
    texts = make_texts(1000, seed=3)
    question = {"bundle": in_float, "texts": [], "tokenized": texts}
    here = answers(question)["input_ids"]
    assert machine.answers(in_float, [], tokenized=texts)["input_ids"] == here
    limit = read_bundle(in_float).manifest.max_length
    lines = machine.cpp(
        "tests/tokenize", in_float / "tokenizer.json", limit, data=records(texts, " -1")
    )
    assert [json.loads(line)["ids"] for line in lines.splitlines()] == here


@pytest.mark.slow
def test_a_recipe_compiles_for_arm64_on_this_machine(machine, tiny_checkpoint, tiny_data, tmp_path):
    recipe = tmp_path / "board.yaml"
    recipe.write_text(
        RECIPE.format(reviews=tiny_data / "reviews.jsonl", checkpoint=tiny_checkpoint)
    )
    work = ["--work", str(tmp_path / "runs")]
    refused = pocketbert("run", str(recipe), *work)
    assert refused.returncode == 2
    assert "stop with --until compile" in refused.stderr
    assert not (tmp_path / "runs").exists()
    done = pocketbert("run", str(recipe), *work, "--until", "compile", "--json")
    assert done.returncode == 0, done.stderr
    assert "is not tested: it was compiled for arm64" in done.stderr
    bundle = Path(json.loads(done.stdout)["stages"][-1]["folder"]) / "bundle"
    reviews = str(tiny_data / "reviews.jsonl")
    for words in (["selftest"], ["predict"], ["eval", "--data", reviews]):
        said = pocketbert(
            words[0], str(bundle), *words[1:], *(["x"] if words == ["predict"] else [])
        )
        assert said.returncode == 2
        assert "compiled for arm64, this processor has" in " ".join(said.stderr.split())
        assert "Traceback" not in said.stderr
    assert machine.pocketbert("selftest", bundle).returncode == 0
    answered = machine.pocketbert("predict", bundle, "a bright film", "the plot is very dull")
    labels = [json.loads(line)["label"] for line in answered.stdout.splitlines()]
    assert labels == ["good", "bad"]


def cpp_logits(machine: Arm64Machine, bundle: Path) -> np.ndarray:
    lines = machine.cpp("tests/print_logits", bundle, data=records(TEXTS)).splitlines()
    return np.array([json.loads(line) for line in lines])


def pocketbert(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line on this machine."""
    program = str(Path(sys.executable).with_name("pocketbert"))
    return subprocess.run([program, *words], capture_output=True, text=True)

"""The C++ runtime gives the answers of the Python one, and refuses what that refuses."""

import json
import os
import platform
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import pytest

from pocketbert.compress.errors import BundleError
from pocketbert.deploy.bundle import hash_file, read_bundle
from pocketbert.deploy.cpu import available_isas, isas_of
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.selftest import selftest

from . import cpp_build, unigram_variants

TEXTS = [
    "",
    "the film is superb",
    "dull",
    "a Tender, GRIPPING story!",
    "café [SEP] 漢字",
    "b " * 90,
]
BUNDLES = ["bert", "mpnet", "bilstm", "factorised"]


def run(program: Path, *arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [program, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def answers_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def program(cpp: Path) -> Path:
    return cpp / "pocketbert-run"


@pytest.fixture
def copy(bert, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    shutil.copytree(bert.bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def edit_manifest(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "manifest.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def edit_file(bundle: Path, name: str, content: bytes) -> None:
    """Change a file together with its hash, as somebody would who means harm."""
    (bundle / name).write_bytes(content)
    edit_manifest(bundle, lambda raw: raw["sha256"].update({name: hash_file(bundle / name)}))


def edit_golden(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    golden = json.loads((bundle / "golden.json").read_text())
    change(golden)
    edit_file(bundle, "golden.json", json.dumps(golden).encode())


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("name", BUNDLES)
def test_answers_are_those_of_python(program, request, name, batch_size):
    bundle = request.getfixturevalue(name).bundle
    lines = "".join(f"{text}\n" for text in TEXTS)
    found = answers_of(run(program, bundle, "--batch-size", batch_size, text=lines))
    expected = Engine.open(bundle)(TEXTS, batch_size)
    assert [answer["label"] for answer in found] == [answer.label for answer in expected]
    for answer, other in zip(found, expected, strict=True):
        assert answer["score"] == pytest.approx(other.score, abs=1e-6)
        assert answer["probabilities"] == pytest.approx(other.probabilities, abs=1e-6)
    assert len({answer["score"] for answer in found}) > 1


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(
    "truncation",
    [
        {"keep": "tail"},
        {"keep": "head+tail"},
        {"keep": "windows", "window_overlap": 7},
        {"keep": "windows", "window_pooling": "max"},
    ],
)
def test_long_texts_are_read_as_in_python(program, copy, truncation, batch_size):
    edit_manifest(copy, lambda raw: raw.update(truncation=truncation))
    words = "the film is a very dull story of the actors but superb and tender " * 4
    texts = [words, "superb", words[len(words) // 2 :] + "gripping", ""]
    found = answers_of(
        run(program, copy, "--batch-size", batch_size, text="".join(f"{t}\n" for t in texts))
    )
    for answer, other in zip(found, Engine.open(copy)(texts, batch_size), strict=True):
        assert answer["probabilities"] == pytest.approx(other.probabilities, abs=1e-6)


@pytest.mark.parametrize("name", BUNDLES)
def test_selftest_is_that_of_python(program, cpp_onnxruntime, request, name):
    bundle = request.getfixturevalue(name).bundle
    found = answers_of(run(program, "--selftest", bundle))[0]
    expected = asdict(selftest(bundle))
    difference, other = found.pop("max_abs_difference"), expected.pop("max_abs_difference")
    assert found == expected
    if cpp_build.python_has_the_same_onnxruntime(cpp_onnxruntime):
        assert difference == other  # the same kernels on the same tokens: the same bits
    else:
        assert difference == pytest.approx(other, abs=1e-3)


def test_selftest_misses_changed_answers(program, copy):
    def change(golden: dict[str, Any]) -> None:
        for answers in golden["targets"].values():
            answers["logits"][0][0] += answers["tolerance"] * 3 + 1

    edit_golden(copy, change)
    done = run(program, "--selftest", copy)
    assert done.returncode == 1
    assert not json.loads(done.stdout)["passed"]


def test_selftest_misses_other_tokens(program, copy):
    edit_golden(copy, lambda golden: golden["input_ids"][1].append(3))
    done = run(program, "--selftest", copy)
    assert done.returncode == 1
    assert json.loads(done.stdout)["texts_with_other_tokens"] == 1


def test_selftest_reads_the_golden_answers_of_format_1(program, copy):
    def change(golden: dict[str, Any]) -> None:
        golden |= next(iter(golden.pop("targets").values()))

    edit_golden(copy, change)
    edit_manifest(copy, lambda raw: raw.update(schema_version=1))
    assert run(program, "--selftest", copy).returncode == 0


def climb(bundle: Path) -> None:
    (bundle.parent / "outside").write_text("x")
    outside = hash_file(bundle.parent / "outside")
    edit_manifest(bundle, lambda raw: raw["sha256"].update({"../outside": outside}))


def link(bundle: Path) -> None:
    shutil.move(bundle / "tokenizer.json", bundle.parent / "elsewhere.json")
    (bundle / "tokenizer.json").symlink_to(bundle.parent / "elsewhere.json")


def link_folder(bundle: Path) -> None:
    (bundle.parent / "empty").mkdir()
    (bundle / "linked").symlink_to(bundle.parent / "empty")


def in_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda bundle: edit_manifest(bundle, change)


def cut(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_bytes(path.read_bytes()[:200])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed byte": (
        lambda bundle: (bundle / "tokenizer.json").write_bytes(b"{}"),
        "does not have the hash",
    ),
    "a missing file": (lambda bundle: (bundle / "golden.json").unlink(), "lacks golden.json"),
    "a further file": (lambda bundle: (bundle / "more.txt").touch(), "which the manifest does not"),
    "a path outside": (climb, "expected a relative path inside the bundle"),
    "an absolute path": (
        in_manifest(lambda raw: raw["sha256"].update({"/etc/passwd": "00"})),
        "expected a relative path inside the bundle",
    ),
    "a link": (link, "is a symbolic link"),
    "a linked folder": (link_folder, "is a symbolic link"),
    "a file without hash": (
        in_manifest(lambda raw: raw["targets"][0].update(path="elsewhere.onnx")),
        "has no hash for elsewhere.onnx",
    ),
    "no manifest": (lambda bundle: (bundle / "manifest.json").unlink(), "has no manifest.json"),
    "half a manifest": (cut, "is not JSON"),
    "a list as manifest": (
        lambda bundle: (bundle / "manifest.json").write_text("[]"),
        "expected a manifest of schema version 3",
    ),
    "a later format": (in_manifest(lambda raw: raw.update(schema_version=4)), "schema version 4"),
    "an unknown key": (in_manifest(lambda raw: raw.update(colour="red")), "wrong at `colour`"),
    "an unknown key of a target": (
        in_manifest(lambda raw: raw["targets"][0].update(colour="red")),
        "wrong at `targets.0.colour`",
    ),
    "a missing key": (in_manifest(lambda raw: raw.pop("labels")), "labels"),
    "text for a number": (
        in_manifest(lambda raw: raw.update(max_length="long")),
        "wrong at `max_length`",
    ),
    "a manifest of megabytes": (
        in_manifest(lambda raw: raw.update(name="a" * (5 << 20))),
        "expected at most 4194304",
    ),
    "labels beyond counting": (
        in_manifest(lambda raw: raw.update(labels=["a"] * 70_000)),
        "wrong at `labels`",
    ),
    "an input beyond reason": (
        in_manifest(lambda raw: raw.update(max_length=10**9)),
        "wrong at `max_length`",
    ),
    "windows that do not move on": (
        in_manifest(lambda raw: raw.update(truncation={"window_overlap": 31})),
        "windows share 31 tokens",
    ),
    "an unknown runtime": (
        in_manifest(lambda raw: raw["targets"][0].update(runtime="abacus")),
        "wrong at `targets.0.runtime`",
    ),
    "no target": (in_manifest(lambda raw: raw.update(targets=[])), "no target"),
    "a model that is none": (
        lambda bundle: edit_file(bundle, model_of(bundle), b"nothing"),
        "does not load",
    ),
    "half a model": (
        lambda bundle: edit_file(
            bundle, model_of(bundle), (bundle / model_of(bundle)).read_bytes()[:-4000]
        ),
        "does not load",
    ),
    "a tokenizer that is none": (
        lambda bundle: edit_file(bundle, "tokenizer.json", b'{"model": 1}'),
        "expected a tokenizer.json",
    ),
}


def model_of(bundle: Path) -> str:
    path: str = json.loads((bundle / "manifest.json").read_text())["targets"][0]["path"]
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_what_python_refuses_is_refused_in_one_sentence(program, copy, name):
    change, message = REFUSED[name]
    change(copy)
    with pytest.raises(BundleError):
        Engine.open(copy)
    done = run(program, copy, text="the film\n")
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("pocketbert-run: ")
    assert "expected" in done.stderr or "update pocketbert" in done.stderr


def test_a_signature_is_left_to_python(program, copy):
    (copy / "model.sig").write_text("{}")
    assert run(program, copy, text="the film\n").returncode == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_model_gives_an_error_or_an_answer_but_no_crash(program, copy, seed):
    model = bytearray((copy / model_of(copy)).read_bytes())
    draw = random.Random(seed)
    for _ in range(4):  # among the operators, not the weights: the first bytes and the last
        at = draw.choice([draw.randrange(8000), len(model) - 1 - draw.randrange(8000)])
        model[at] = draw.randrange(256)
    edit_file(copy, model_of(copy), bytes(model))
    done = run(program, copy, text="the film\n")
    assert done.returncode in (0, 2)
    assert bool(done.stdout) == (done.returncode == 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is not JSON"), (b"{}", "lacks the key 'texts'"), (b'{"texts": 1}', "no list")],
)
def test_golden_answers_that_are_wrong_are_refused(program, copy, content, message):
    edit_file(copy, "golden.json", content)
    done = run(program, "--selftest", copy)
    assert done.returncode == 2
    assert message in done.stderr


def test_more_labels_than_the_model_has_are_refused(program, copy):
    edit_manifest(copy, lambda raw: raw["labels"].append("third"))
    done = run(program, copy, text="the film\n")
    assert done.returncode == 2
    assert "2 logits for 1 texts, expected 3 for each" in done.stderr


def test_logits_of_another_type_are_refused(program, copy):
    model = onnx.load_model(copy / model_of(copy))
    (logits,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["single" if name == logits.name else name for name in node.output]
    cast = onnx.helper.make_node("Cast", ["single"], [logits.name], to=onnx.TensorProto.DOUBLE)
    model.graph.node.append(cast)
    logits.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    edit_file(copy, model_of(copy), model.SerializeToString())
    done = run(program, copy, text="the film\n")
    assert done.returncode == 2
    assert "the model's logits are no float32, expected that" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no bundle was named"),
        (["a", "b"], "'b' is not known"),
        (["a", "--fast"], "'--fast' is not known"),
        (["a", "--threads"], "no value"),
        (["a", "--threads", "-1"], "expected 1 to 1024"),
        (["a", "--batch-size", "many"], "expected 1 to 1024"),
        (["nowhere"], "no manifest.json"),
    ],
)
def test_usage_mistakes(program, arguments, message):
    done = run(program, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_help(program):
    done = run(program, "--help")
    assert done.returncode == 0
    assert "--selftest" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "mind-reading"}, "is of the task 'mind-reading', this pocketbert knows"),
        ({"task": "token-classification"}, "2 logits for 1 texts, expected"),
        ({"task": "question-answering"}, "expected 'start' and 'end' on pairs"),
        ({"labels": []}, "has no labels"),
        ({"thresholds": [0.5]}, "1 thresholds, expected 2"),
        ({"task": "translation"}, "target_tokenizer.json cannot be read"),
    ],
)
def test_a_bundle_that_is_not_of_the_task_that_it_names_is_refused(program, copy, change, said):
    edit_manifest(copy, lambda raw: raw.update(change))
    done = run(program, copy, text="a film\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_target_is_chosen_by_name_and_its_threads_can_be_set(program, bert):
    name = read_bundle(bert.bundle).manifest.targets[0].name
    found = answers_of(run(program, bert.bundle, "--target", name, "--threads", 2, text="film\n"))
    assert found[0]["score"] == pytest.approx(Engine.open(bert.bundle)(["film"])[0].score, abs=1e-5)
    done = run(program, bert.bundle, "--target", "other")
    assert done.returncode == 2
    assert f"no target 'other', expected one of: {name}" in done.stderr


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"runtime": "tensorrt"}, "this library was built without TensorRT"),
        ({"isa": "arm64" if platform.machine() == "x86_64" else "x86_64"}, "it was compiled for"),
    ],
)
def test_a_target_that_cannot_run_here_is_passed_over_with_the_reason(
    program, copy, change, reason
):
    def put_first(raw: dict[str, Any]) -> None:
        raw["targets"].insert(0, raw["targets"][0] | {"name": "first"} | change)

    def answer(golden: dict[str, Any]) -> None:
        golden["targets"]["first"] = next(iter(golden["targets"].values()))

    edit_manifest(copy, put_first)
    edit_golden(copy, answer)
    assert len(answers_of(run(program, copy, text="the film\n"))) == 1
    chosen = answers_of(run(program, "--selftest", copy))[0]
    assert "first" not in chosen["engine"].split(":")[0]
    asked = run(program, copy, "--target", "first")
    assert asked.returncode == 2
    assert f"first cannot run here: {reason}" in asked.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
@pytest.mark.parametrize("flags", ["sse2 avx2", "avx2 avx_vnni", "avx512_vnni fma", ""])
def test_instruction_sets_are_those_of_python(cpp, machine, flags):
    cpuinfo = f"processor : 0\nflags : {flags}\n"
    found = run(cpp / "tests/probe_cpu", machine, text=cpuinfo).stdout.split()
    assert tuple(found) == isas_of(machine, cpuinfo)


def test_this_machine_has_the_instruction_sets_that_python_finds(cpp):
    cpuinfo = Path("/proc/cpuinfo").read_text()
    found = run(cpp / "tests/probe_cpu", platform.machine(), text=cpuinfo).stdout.split()
    assert tuple(found) == available_isas()


def test_one_engine_answers_several_threads(cpp, bert):
    lines = "".join(f"{text}\n" for text in TEXTS)
    found = answers_of(run(cpp / "tests/many_threads", bert.bundle, 8, 25, text=lines))[0]
    assert found == {"answers": 8 * 25 * len(TEXTS), "others": 0}


def test_installed_library_is_found_by_another_project(cpp, cpp_onnxruntime, bert, tmp_path):
    cpp_build.run(["cmake", "--install", cpp, "--prefix", tmp_path / "prefix"])
    build = tmp_path / "build"
    source = cpp_build.SOURCE / "example"
    prefixes = f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}"
    cpp_build.run(
        ["cmake", "-S", source, "-B", build, prefixes, f"-DOnnxRuntime_ROOT={cpp_onnxruntime}"]
    )
    cpp_build.run(["cmake", "--build", build])
    done = run(build / "classify", bert.bundle, "the film is superb")
    expected = Engine.open(bert.bundle)(["the film is superb"])[0]
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == expected.label
    assert run(build / "classify", tmp_path, "x").returncode == 2
    other_kind = run(build / "ask", bert.bundle, "how is it?", "the film is superb")
    assert other_kind.returncode == 2
    assert "a text is two, expected one" in other_kind.stderr
    installed = tmp_path / "prefix/bin/pocketbert-run"
    assert run(installed, "--selftest", bert.bundle).returncode == 0


@pytest.mark.slow
def test_no_sanitizer_complains(cpp_sanitized, bert, tmp_path):
    program = cpp_sanitized / "pocketbert-run"
    lines = "".join(f"{text}\n" for text in TEXTS)
    assert len(answers_of(run(program, bert.bundle, "--batch-size", 3, text=lines))) == len(TEXTS)
    assert run(program, "--selftest", bert.bundle).returncode == 0
    assert run(cpp_sanitized / "tests/many_threads", bert.bundle, 4, 5, text=lines).returncode == 0
    for number, (change, message) in enumerate(REFUSED.values()):
        bundle = tmp_path / str(number) / "bundle"
        shutil.copytree(bert.bundle, bundle)
        change(bundle)
        done = run(program, bundle)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fuzzer", "variant"),
    [("fuzz_tokenizer", None), ("fuzz_tokenizer", "xlm_roberta"), ("fuzz_manifest", None)],
)
def test_fuzzing_finds_nothing(
    cpp_onnxruntime, pytestconfig, bert, tmp_path, fuzzer, variant, record_property
):
    if shutil.which("clang++") is None:
        pytest.skip("not found: clang++ (apt-get install clang)")
    folder = Path(pytestconfig.cache.mkdir("cpp")) / "fuzzers"
    cpp_build.build_fuzzers(folder, cpp_onnxruntime)
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    tokenizer = None
    if variant is not None:
        tokenizer = tmp_path / "unigram.json"
        unigram_variants.make(unigram_variants.VARIANTS[variant]).save(str(tokenizer))
    result = cpp_build.fuzz(folder, fuzzer, bert.bundle, tmp_path, seconds, tokenizer)
    assert result.returncode == 0, result.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", result.stderr)
    assert executed is not None
    record_property("inputs_fuzzed", int(executed[1]))

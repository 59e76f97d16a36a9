"""The C++ runtime answers every kind of task as the Python engine does."""

import json
import random
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pocketbert.compress.data import load_split
from pocketbert.compress.texts import Text
from pocketbert.deploy.bundle import MANIFEST, hash_file
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.tasks import TASKS

from ..conftest import FILLER
from .conftest import BAD, CASES, GOOD

TEXTS = 60  # of the test split
TOLERANCE = 1e-5  # of a score: the same kernels, other libraries for exponentials and sums
UNICODE = [
    "\U0001f3ac superb",
    "superb\u0301 the film",  # a mark that no token has
    "a du\u0308ll\u200b plot \U0001f469\u200d\U0001f467 is lovely",
    "\u6f22\u5b57superb\u6f22 dull",
    "\u1e9e\ufb01lm \U0001f1e9\U0001f1ea awful \u0130 bright",
    "\t dull\u00a0film  [SEP] gripping [MASK]",
    "\u0639\u0631\u0628\u064a tender \u0928\u092e\u0938\u094d\u0924\u0947 messy",
]


def run(program: Path, *arguments: object, lines: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, input=lines, capture_output=True, text=True)


def json_lines(texts: list[Text]) -> str:
    return "".join(json.dumps(text) + "\n" for text in texts)


def answers_in(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_same(ours: Any, theirs: Any) -> None:
    """Names, texts and whole numbers are equal, others nearly."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for name in theirs:
            assert_same(ours[name], theirs[name])
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=TOLERANCE)
    else:
        assert ours == theirs


def texts_for(chain) -> list[Text]:
    """Texts of the task, others of many scripts, long ones and, where that is none, the empty."""
    pairs = Engine.open(chain.bundle).pairs
    draw = random.Random(0)
    long = " ".join(draw.choices([*FILLER, *BAD, *GOOD], k=150))
    others = [*UNICODE, long, long + " \U0001f3ac superb"]
    if not chain.case.refuses_empty:
        others.append("")
    some: list[Text] = list(others)
    if pairs:
        some = [pair for text in others for pair in (("a superb film", text), (text, "dull plot"))]
    return [*load_split(chain.root / "data", "test").texts[:TEXTS], *some]


@pytest.fixture
def program(cpp: Path) -> Path:
    return cpp / "pocketbert-run"


@pytest.fixture(params=CASES)
def chain(request, chain_of):
    return chain_of(request.param)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_answers_are_those_of_python(program, chain, batch_size):
    texts = texts_for(chain)
    options = ("--json", "--batch-size", batch_size)
    found = answers_in(run(program, chain.bundle, *options, lines=json_lines(texts)))
    expected = [asdict(one) for one in Engine.open(chain.bundle)(texts, batch_size)]
    assert len(found) == len(expected) == len(texts)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, json.loads(json.dumps(theirs)))
    assert len({json.dumps(answer) for answer in found}) > TEXTS / 2


def test_spans_are_characters_of_the_text(program, chain_of):
    bundle = chain_of("token-classification").bundle
    texts = [f"{odd} superb {odd} dull {odd}" for odd in UNICODE]
    found = answers_in(run(program, bundle, "--json", lines=json_lines(list(texts))))
    pairs = list(zip(texts, found, strict=True))
    spans = [(text, one) for text, answer in pairs for one in answer["entities"]]
    assert len(spans) >= 2 * len(texts)
    for text, one in spans:
        assert text[one["start"] : one["end"]] == one["text"]


def test_selftest_is_that_of_python(program, chain):
    found = answers_in(run(program, "--selftest", chain.bundle))[0]
    expected = asdict(selftest(chain.bundle))
    assert found.pop("max_abs_difference") == pytest.approx(
        expected.pop("max_abs_difference"), abs=1e-3
    )
    assert found == expected
    assert found["passed"]


def test_a_task_of_which_the_golden_answers_differ_fails_the_selftest(program, chain, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(chain.bundle, bundle)
    golden = json.loads((bundle / "golden.json").read_text())
    for answers in golden["targets"].values():
        first = answers["logits"][0]
        (first[0] if isinstance(first[0], list) else first)[0] += answers["tolerance"] * 3 + 1
    write_with_hash(bundle, "golden.json", json.dumps(golden))
    done = run(program, "--selftest", bundle)
    assert done.returncode == 1
    assert json.loads(done.stdout)["texts_with_other_tokens"] == 0


def write_with_hash(bundle: Path, name: str, content: str) -> None:
    (bundle / name).write_text(content)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["sha256"][name] = hash_file(bundle / name)
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def test_lines_of_a_pair_have_a_tab_between_them(program, chain_of):
    bundle = chain_of("pairs").bundle
    found = answers_in(run(program, bundle, lines="a dull film\ta superb plot\n"))
    [expected] = Engine.open(bundle)([("a dull film", "a superb plot")])
    assert_same(found, [asdict(expected)])


@pytest.mark.parametrize(
    ("name", "options", "line", "said"),
    [
        ("pairs", [], "only one", "a line has no tab, expected two texts"),
        ("pairs", ["--json"], '"only one"', "a text is one, expected two"),
        ("text-regression", ["--json"], '["one", "two"]', "a text is two, expected one"),
        ("text-regression", ["--json"], "no JSON", "no JSON string and no list of two"),
        ("text-regression", ["--json"], '["one", 2]', "no JSON string and no list of two"),
        ("question-answering", ["--json"], '["", "a film"]', "the question is empty"),
        ("question-answering", ["--json"], '["a film", " \\u2003\\u001f"]', "the context is empty"),
    ],
)
def test_a_wrong_line_is_refused_in_one_sentence(program, chain_of, name, options, line, said):
    done = run(program, chain_of(name).bundle, *options, lines=line + "\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("multi-label-classification", {"thresholds": [0.5]}, "1 thresholds, expected 3"),
        ("multi-label-classification", {"labels": [], "thresholds": []}, "has no labels"),
        ("pairs", {"truncation": {"keep": "windows"}}, "reads pairs in windows"),
        ("token-classification", {"truncation": {"keep": "windows"}}, "head or tail"),
        ("token-classification", {"labels": ["O", "B-A", "I-A"]}, "logits for 1 texts, expected"),
        ("question-answering", {"labels": ["start"], "thresholds": []}, "expected 'start' and"),
        ("text-regression", {"task": "token-classification"}, "expected"),
    ],
)
def test_a_manifest_that_fits_no_task_is_refused(program, chain_of, tmp_path, name, change, said):
    bundle = tmp_path / "bundle"
    shutil.copytree(chain_of(name).bundle, bundle)
    manifest = json.loads((bundle / MANIFEST).read_text()) | change
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    line = '["a film", "a plot"]' if manifest.get("pairs") else '"a film"'
    done = run(program, bundle, "--json", lines=line + "\n")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_names_every_task(program):
    said = run(program, "--help").stdout
    for kind in TASKS:
        assert kind.removeprefix("text-") in said


def test_every_task_of_python_stands_in_the_table_of_cpp(program, chain_of, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(chain_of("text-regression").bundle, bundle)
    manifest = json.loads((bundle / MANIFEST).read_text()) | {"task": "mind-reading"}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    done = run(program, bundle)
    assert done.returncode == 2
    _, _, names = done.stderr.partition("is of the task 'mind-reading', this pocketbert knows ")
    assert set(names.partition(";")[0].split(", ")) == set(TASKS)

"""The C++ runtime writes the texts that the Python one writes, token for token."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import decoders

from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.errors import UserError
from pocketbert.compress.generation import GENERATION, Generation, write_generation
from pocketbert.compress.target_tokenizer import TARGET_TOKENIZER, train_target_tokenizer
from pocketbert.compress.translator import open_translator
from pocketbert.deploy.bundle import GOLDEN, MANIFEST, hash_file
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.graph_files import DECODER
from pocketbert.deploy.selftest import selftest

TOLERANCE = 1e-5  # of a score: the same kernels, other libraries for exponentials and sums
ODD = ["", "superb \U0001f3ac", "caf\u00e9 \u6f22\u5b57 [SEP] film", "dull " * 90]


def run(program: Path, *arguments: object, lines: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, input=lines, capture_output=True, text=True)


def written(cpp: Path, bundle: Path, texts: list[str], *options: object) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = run(cpp / "pocketbert-run", bundle, "--json", *options, lines=lines)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert [one["text"] for one in ours] == [one["text"] for one in theirs]
    scores = [[one["score"] for one in some] for some in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)


@pytest.fixture(scope="module")
def chain(chain_of):
    return chain_of("translation")


@pytest.fixture(scope="module")
def texts(chain) -> list[str]:
    """Of several lengths, so that batches have padding."""
    some = [str(text) for text in load_split(chain.root / "data", "test").texts[:30]]
    return [" ".join(text.split()[: 1 + n % 3]) for n, text in enumerate(some)] + ODD


@pytest.fixture(scope="module")
def wild(chain, tmp_path_factory):
    """A bundle in FP32 whose likeliest token at once is seldom the best in the end."""
    root = tmp_path_factory.mktemp("wild")
    translator = open_translator(chain.root / "pruned/model")
    torch.manual_seed(0)
    with torch.no_grad():
        for name, values in translator.model.named_parameters():
            if name.endswith("weight") and values.dim() == 2:
                values.copy_(torch.randn_like(values) * 0.35)
        decoder: Any = translator.model.decoder
        decoder.cls.predictions.bias[translator.target.end_id] += 3  # or no text would end
    translator.save(load_description(chain.root / "data"), root / "model")
    write_generation(Generation(max_tokens=12), root / "model")
    (root / "exported").mkdir()
    export_onnx(out=root / "exported", data=chain.root / "data", model=root)
    compile_bundle(
        out=root,
        config=CompileConfig(),
        data=chain.root / "data",
        exported=root / "exported",
        quantized=None,
        lineage={},
        name="wild",
    )
    return root / "bundle"


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("beams", [1, 2, 4])
def test_every_search_writes_what_python_writes(cpp, wild, texts, beams, batch_size):
    options = ("--beams", beams, "--batch-size", batch_size)
    engine = Engine.open(wild, beams=beams)
    theirs = [asdict(one) for one in engine(texts, batch_size)]
    assert_same(written(cpp, wild, texts, *options), theirs)
    greedy = [one.text for one in Engine.open(wild)(texts)]
    others = sum(one["text"] != other for one, other in zip(theirs, greedy, strict=True))
    assert (others > len(texts) / 4) == (beams > 1)
    assert len({len(one["text"]) for one in theirs}) > 2


def test_int8_with_beams_writes_what_python_writes(cpp, chain, texts):
    theirs = [asdict(one) for one in Engine.open(chain.bundle, beams=3)(texts, 5)]
    assert_same(written(cpp, chain.bundle, texts, "--beams", 3, "--batch-size", 5), theirs)


def test_as_many_beams_as_tokens(cpp, wild, texts):
    """More than what is left to follow once the end is taken away."""
    most = Engine.open(wild)._language.tokenizer.size
    theirs = [asdict(one) for one in Engine.open(wild, beams=most)(texts[:4])]
    assert_same(written(cpp, wild, texts[:4], "--beams", most), theirs)


@pytest.mark.parametrize("scheme", ["never", "always", "first"])
def test_tokens_become_the_text_that_the_library_makes_of_them(cpp, tmp_path, scheme):
    said = [
        "a film  of 漢字, caf\u00e9 \U0001f3ac!",
        "\u2581 \u00a0x",
        "打开 文件 - 「确定」。",
    ]
    made = train_target_tokenizer(said * 3, 60)
    made._tokenizer.add_tokens(["\x1c", "\u3000", " two "])  # not special: they are text
    made._tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    made.save(tmp_path)
    draw = random.Random(0)
    lines = [draw.choices(range(made.size + 3), k=draw.randrange(9)) for _ in range(400)]
    typed = "".join(" ".join(map(str, ids)) + "\n" for ids in lines)
    done = run(cpp / "tests/detokenize", tmp_path / TARGET_TOKENIZER, lines=typed)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [made.decode(ids) for ids in lines]
    assert len(set(found)) > 200


def edited(bundle: Path, folder: Path, name: str, change: Callable[[Path], object]) -> Path:
    """Copy a bundle and change a file with its hash."""
    shutil.copytree(bundle, folder / "bundle")
    path = folder / "bundle" / name
    change(path)
    manifest = json.loads((folder / "bundle" / MANIFEST).read_text())
    if path.is_file():
        manifest["sha256"][name] = hash_file(path)
    else:
        del manifest["sha256"][name]
    (folder / "bundle" / MANIFEST).write_text(json.dumps(manifest))
    return folder / "bundle"


def says(**content: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(content))


def without_start(path: Path) -> None:
    raw = json.loads(path.read_text())
    raw["added_tokens"] = [one for one in raw["added_tokens"] if one["content"] != "[START]"]
    del raw["model"]["vocab"]["[START]"]
    path.write_text(json.dumps(raw))


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no beams": (GENERATION, says(max_tokens=8, beams=0), "wrong at `beams`"),
    "too many beams": (GENERATION, says(max_tokens=8, beams=10**6), "beams"),
    "an answer beyond reason": (GENERATION, says(max_tokens=10**9), "wrong at `max_tokens`"),
    "an unknown key": (GENERATION, says(max_tokens=8, mood="good"), "wrong at `mood`"),
    "no generation.json": (GENERATION, Path.unlink, "generation.json"),
    "no tokenizer": (TARGET_TOKENIZER, Path.unlink, "target_tokenizer.json"),
    "a tokenizer that is none": (TARGET_TOKENIZER, says(model=1), "target_tokenizer.json"),
    "no token to start from": (TARGET_TOKENIZER, without_start, "no token [START]"),
    "no decoder": (f"onnxruntime/{DECODER}", Path.unlink, "does not load"),
    "a decoder that is none": (f"onnxruntime/{DECODER}", says(a=1), "does not load"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_python_refuses_is_refused_in_one_sentence(cpp, wild, tmp_path, name):
    file, change, message = REFUSED[name]
    bundle = edited(wild, tmp_path, file, change)
    with pytest.raises(UserError):
        Engine.open(bundle)
    done = run(cpp / "pocketbert-run", bundle, lines="a film\n")
    assert done.returncode == 2
    assert message in done.stderr
    assert "expected" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_encoder_in_the_decoder_s_place_is_refused(cpp, wild, tmp_path):
    encoder = wild / "onnxruntime/model.onnx"
    name = f"onnxruntime/{DECODER}"
    bundle = edited(wild, tmp_path, name, lambda path: shutil.copyfile(encoder, path))
    done = run(cpp / "pocketbert-run", bundle, lines="a film\n")
    assert done.returncode == 2
    assert "the decoder has other inputs or outputs, expected" in done.stderr


def test_a_tokenizer_of_another_decoder_is_refused(cpp, wild, tmp_path):
    smaller = train_target_tokenizer(["a film"], 20)
    bundle = edited(wild, tmp_path, TARGET_TOKENIZER, lambda path: smaller.save(path.parent))
    done = run(cpp / "pocketbert-run", bundle, lines="a film\n")
    assert done.returncode == 2
    assert f"expected {smaller.size} for each, one a token" in done.stderr


@pytest.mark.parametrize(
    ("kind", "beams", "said"),
    [
        ("translation", "0", "--beams is '0', expected 1 to"),
        ("translation", "1000", "beams is 1000, expected 1 to"),
        ("text-regression", "2", "expected none: the task 'text-regression' writes no texts"),
    ],
)
def test_wrong_beams_are_refused(cpp, chain_of, kind, beams, said):
    done = run(cpp / "pocketbert-run", chain_of(kind).bundle, "--beams", beams, lines="a film\n")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_golden_text_that_is_written_otherwise_fails_the_selftest(cpp, chain, tmp_path):
    def other(path: Path) -> None:
        golden = json.loads(path.read_text())
        golden["targets"]["onnxruntime"]["logits"][0][1][0] += 1
        path.write_text(json.dumps(golden))

    bundle = edited(chain.bundle, tmp_path, GOLDEN, other)
    assert run(cpp / "pocketbert-run", "--selftest", chain.bundle).returncode == 0
    assert run(cpp / "pocketbert-run", "--selftest", bundle).returncode == 1
    assert not selftest(bundle).passed


def test_one_engine_writes_for_several_threads(cpp, wild, texts):
    lines = "".join(text + "\n" for text in texts[:12])
    done = run(cpp / "tests/many_threads", wild, 4, 5, lines=lines)
    assert json.loads(done.stdout) == {"answers": 4 * 5 * 12, "others": 0}


@pytest.mark.slow
def test_no_sanitizer_complains(cpp_sanitized, wild, chain, texts, tmp_path):
    for bundle in (wild, chain.bundle):
        for beams in (1, 3):
            engine = Engine.open(bundle, beams=beams)
            theirs = [asdict(one) for one in engine(texts, 5)]
            options = ("--beams", beams, "--batch-size", 5)
            assert_same(written(cpp_sanitized, bundle, texts, *options), theirs)
    lines = "".join(text + "\n" for text in texts)
    assert run(cpp_sanitized / "tests/many_threads", wild, 4, 3, lines=lines).returncode == 0
    for number, (file, change, message) in enumerate(REFUSED.values()):
        (tmp_path / str(number)).mkdir()
        bundle = edited(wild, tmp_path / str(number), file, change)
        done = run(cpp_sanitized / "pocketbert-run", bundle, lines="a film\n")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr

"""Bundles measured on a made-up board, by really running them."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from pocketbert.compress.errors import BundleError, UserError
from pocketbert.deploy.bundle import MANIFEST, hash_file, read_bundle, write_bundle
from pocketbert.deploy.cpu import available_isas
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.eval.bench import BenchConfig, bench
from pocketbert.eval.fixed_lengths import texts_of_length

from . import made_up_board as board

TEXTS = ["the film is superb", "a dull story with tedious actors", "moving and very funny"]
SMALL = BenchConfig(calls=6, rounds=2, idle_s=0.1)


@pytest.fixture(scope="module")
def bundle(bundle_folder, tmp_path_factory):
    """With golden texts, and a target for another kind of processor."""
    root = tmp_path_factory.mktemp("bench")
    whole = read_bundle(bundle_folder)
    (first,) = whole.manifest.targets
    foreign = "arm64" if available_isas()[0] != "arm64" else "x86_64"
    targets = (first, replace(first, name="foreign", isa=foreign))
    golden = root / "golden.json"
    golden.write_text(json.dumps({"texts": TEXTS}))
    files = {name: bundle_folder / name for name in whole.manifest.sha256}
    write_bundle(
        root / "bundle",
        files | {"golden.json": golden},
        replace(whole.manifest, targets=targets),
    )
    return root / "bundle"


def test_what_is_measured_and_carried_back(bundle, tmp_path):
    root = board.orin(tmp_path / "root")
    out = tmp_path / "results" / "orin.json"
    result = bench([bundle, bundle], SMALL, out, root)
    assert [(row.target, row.texts, row.calls) for row in result.rows] == [
        ("onnxruntime", "real lengths", 12)
    ] * 2
    for row in result.rows:
        assert 0 < row.p50_ms <= row.p90_ms <= row.p99_ms < row.cold_start_ms
        assert 0 < row.resident_bytes <= row.peak_bytes
        assert row.power_w > 1
        assert isinstance(row.energy_mj, float)
    carried = json.loads(out.read_text())
    assert carried["bundles"][0]["manifest_sha256"] == hash_file(bundle / MANIFEST)
    assert carried["environment"]["jetpack"] == "L4T 36.4.3 (JetPack 6.2)"
    assert carried["power_state"]["before"]["power_mode"] == "MAXN_SUPER (2)"
    assert carried["sensors"] == {"ina3221": "used"}
    assert carried["idle"]["power_w"] == pytest.approx(5.0, rel=0.3)
    assert [len(row["latencies_ms"]) for row in carried["rows"]] == [2, 2]
    assert carried["texts"] == {"real lengths": TEXTS}
    (reason,) = set(result.passed_over.values())
    assert reason.startswith("it was compiled for")
    assert [path.name for path in out.parent.iterdir()] == ["orin.json"]


def test_a_machine_without_sensors(bundle, tmp_path):
    result = bench([bundle], SMALL, tmp_path / "out.json", tmp_path)
    (row,) = result.rows
    assert (row.power_w, row.energy_mj, result.content["idle"]) == (None, None, None)
    assert all(found.startswith("absent: ") for found in result.sensors.values())


def test_fixed_lengths(bundle, tmp_path):
    config = replace(SMALL, lengths=(4, 9), targets=("onnxruntime",))
    result = bench([bundle], config, tmp_path / "out.json", tmp_path)
    assert [row.texts for row in result.rows] == ["4 tokens", "9 tokens"]
    tokenizer = Tokenizer(bundle / "tokenizer.json", 32)
    for kind, texts in result.content["texts"].items():
        lengths = {tokenizer.encode([text])["input_ids"].shape[1] for text in texts}
        assert lengths == {int(kind.split()[0])}
        assert len(texts) == 8
    assert result.passed_over == {}


def test_texts_of_a_length_use_other_words(bundle):
    tokenizer = Tokenizer(bundle / "tokenizer.json", 32)
    texts = texts_of_length(tokenizer, TEXTS, 32, 4)
    assert len(set(texts)) == 4
    assert texts_of_length(tokenizer, TEXTS, 2, 1) == [""]
    for length in (1, 33):
        with pytest.raises(UserError, match=rf"length of {length} tokens .*expected 2 to 32"):
            texts_of_length(tokenizer, TEXTS, length, 1)
    with pytest.raises(UserError, match="no words add up to 3 tokens"):
        texts_of_length(tokenizer, ["xyzzy"], 3, 1)  # five letters, five tokens


def test_mistakes(bundle, tmp_path):
    out = tmp_path / "out.json"
    with pytest.raises(BundleError, match="no bundle has a target 'tensort', expected one of: f"):
        bench([bundle], replace(SMALL, targets=("tensort",)), out, tmp_path)
    with pytest.raises(BundleError, match=r"no target runs here .*it was compiled for"):
        bench([bundle], replace(SMALL, targets=("foreign",)), out, tmp_path)
    with pytest.raises(UserError, match="is no file, expected one with a text a line"):
        bench([bundle], replace(SMALL, texts=tmp_path / "none.txt"), out, tmp_path)
    (tmp_path / "none.txt").touch()
    with pytest.raises(UserError, match="has no texts"):
        bench([bundle], replace(SMALL, texts=tmp_path / "none.txt"), out, tmp_path)
    assert not out.exists()


def pocketbert(*arguments, cwd):
    program = "from pocketbert.recipes.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_command(bundle, tmp_path):
    (tmp_path / "mine.txt").write_text("a superb film\nawful\n")
    arguments = ["bench", bundle, "--texts", "mine.txt", "--calls", 4, "--rounds", 1]
    shown = pocketbert(*arguments, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "onnxruntime" in shown.stdout
    assert "real lengths" in shown.stdout
    assert "written to bench.json" in shown.stderr
    carried = json.loads((tmp_path / "bench.json").read_text())
    assert carried["texts"] == {"real lengths": ["a superb film", "awful"]}
    wrong = pocketbert("bench", bundle, "--lengths", "16;64", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--lengths is '16;64', expected numbers of tokens" in wrong.stderr


def test_a_device_needs_no_torch(bundle):
    code = "import sys, pocketbert.eval.bench; print({'torch', 'scipy', 'onnx'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"

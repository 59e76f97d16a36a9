"""Python, C++ and transformers say the same of a model, whatever its task."""

from dataclasses import asdict

import pytest

from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine, read_thresholds
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.tasks import TASKS

from .conftest import CASES
from .peers import PEERS, Asked, agreement, cpp_answers

TEXTS = 200
TOLERANCE = 1e-4  # of a score, in FP32


def test_every_task_has_a_peer():
    assert set(PEERS) == set(TASKS)


@pytest.mark.parametrize("name", CASES)
def test_python_cpp_and_transformers_agree(cpp, chain_of, tmp_path, name, record_property):
    """On 200 texts of a tiny model that learned a made-up task, in FP32."""
    chain = chain_of(name)
    for folder in ("exported", "compiled"):
        (tmp_path / folder).mkdir()
    data = chain.root / "data"
    export_onnx(out=tmp_path / "exported", data=data, model=chain.student)
    compile_bundle(
        out=tmp_path / "compiled",
        config=CompileConfig(),
        data=data,
        exported=tmp_path / "exported",
        quantized=None,
        lineage={},
        name="tiny",
    )
    said, bundle = load_description(data), tmp_path / "compiled/bundle"
    peer = PEERS[said.kind]
    splits = [load_split(data, split).texts for split in ("test", "validation", "train")]
    texts = [text for split in splits for text in split][:TEXTS]
    engine = Engine.open(bundle)
    asked = Asked(
        chain.student / "model",
        said.max_length,
        texts,
        read_thresholds(tmp_path / "exported"),
        said.truncation.window_overlap,
    )
    python = [peer.ours(asdict(one)) for one in engine(texts)]
    cpp_said = [peer.ours(one) for one in cpp_answers(cpp / "pocketbert-run", bundle, texts)]
    for who, theirs in (("transformers", peer.theirs(asked)), ("cpp", cpp_said)):
        found = agreement(texts, python, theirs)
        assert (found.texts, found.same_answer) == (TEXTS, TEXTS), found.others
        assert found.answers >= TEXTS / 2
        assert found.max_abs_difference <= TOLERANCE
        record_property(f"{who}_same_answer", found.same_answer)
        record_property(f"{who}_max_abs_difference", found.max_abs_difference)
    record_property("texts", len(texts))

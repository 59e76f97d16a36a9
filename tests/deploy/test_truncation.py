"""What is read of a long text: the same in training and on the device."""

import json
import shutil

import numpy as np
import pytest

from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import TaskConfig, Truncation
from pocketbert.compress.data import Examples, load_description
from pocketbert.compress.folder import load_tokenizer
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.deploy.windows import pooled_logits

LABELS = ("bad", "good")
WORDS = "the film is a very dull story of the actors but superb and tender with plot"
LONG = f"{WORDS} {WORDS}"
TEXTS = ["superb", "", LONG, "[CLS] the film [SEP]", WORDS]
KEEPS = ["head", "tail", "head+tail", "windows"]


@pytest.fixture(scope="module")
def path(tiny_checkpoint):
    return tiny_checkpoint / "tokenizer.json"


def ids_of(tokenizer, text):
    return tokenizer.encode([text])["input_ids"][0].tolist()


def with_truncation(bundle, out, truncation):
    shutil.copytree(bundle, out)
    manifest = json.loads((out / "manifest.json").read_text()) | {"truncation": truncation}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return Engine.open(out)


@pytest.mark.parametrize("keep", KEEPS)
def test_training_and_device_read_the_same(tiny_checkpoint, path, keep):
    truncation = Truncation(keep=keep)
    learner = load_tokenizer(tiny_checkpoint)
    side = learner.truncation_side
    examples = Examples(TEXTS, np.zeros(len(TEXTS), dtype=np.int64))
    trained_on = tokenize(examples, learner, 16, truncation).input_ids
    device = Tokenizer(path, 16, truncation)
    assert trained_on == [ids_of(device, text) for text in TEXTS]
    assert max(map(len, trained_on)) == 16
    assert learner.truncation_side == side


def test_each_keeps_its_part_between_the_special_tokens(path):
    whole = ids_of(Tokenizer(path, 500), LONG)
    start, words, end = whole[0], whole[1:-1], whole[-1]
    read = {keep: ids_of(Tokenizer(path, 11, Truncation(keep=keep)), LONG) for keep in KEEPS}
    assert read["head"] == read["windows"] == [start, *words[:9], end]
    assert read["tail"] == [start, *words[-9:], end]
    assert read["head+tail"] == [start, *words[:5], *words[-4:], end]


@pytest.mark.parametrize("overlap", [0, 3, 5])
def test_windows_read_every_token_and_share_their_overlap(path, overlap):
    truncation = Truncation(keep="windows", window_overlap=overlap)
    rows = [ids for ids, _ in Tokenizer(path, 11, truncation).windows(LONG)]
    contents = [ids[1:-1] for ids in rows]
    joined = contents[0] + [token for ids in contents[1:] for token in ids[overlap:]]
    assert joined == ids_of(Tokenizer(path, 500), LONG)[1:-1]
    assert max(map(len, rows)) == 11
    assert Tokenizer(path, 11, truncation).windows("superb") == [
        (ids_of(Tokenizer(path, 11), "superb"), [0] * len(rows[0][:3]))
    ]


class Counting:
    """A runner whose logits say how many tokens a row has, and which batches it got."""

    def __init__(self):
        self.shapes = []

    def run(self, inputs):
        self.shapes.append(inputs["input_ids"].shape)
        lengths = inputs["attention_mask"].sum(axis=1).astype(np.float32)
        return np.stack([lengths, -lengths], axis=1)


@pytest.mark.parametrize(("pooling", "pool"), [("mean", np.mean), ("max", np.max)])
def test_logits_of_windows_are_pooled_text_by_text(path, pooling, pool):
    tokenizer = Tokenizer(path, 11, Truncation(keep="windows", window_pooling=pooling))
    runner = Counting()
    found = pooled_logits(tokenizer, runner, TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        lengths = [len(ids) for ids, _ in tokenizer.windows(text)]
        expected = [pool(lengths), pool([-length for length in lengths])]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert len(tokenizer.windows(LONG)) > 2
    assert max(rows for rows, _ in runner.shapes) == len(TEXTS)


def test_a_bundle_that_reads_windows_answers_with_the_mean_of_their_logits(bert, tmp_path):
    long = "the film is a very dull story of the actors but superb and tender " * 4
    windows = {"keep": "windows", "window_overlap": 8}
    engine = with_truncation(bert.bundle, tmp_path / "windows", windows)
    head = with_truncation(bert.bundle, tmp_path / "head", {"keep": "head"})
    tokenizer = Tokenizer(bert.bundle / "tokenizer.json", 32, Truncation(**windows))
    rows = tokenizer.windows(long)
    each = [engine._runner.run(tokenizer.pad([row]))[0] for row in rows]
    np.testing.assert_allclose(engine.logits([long])[0], np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(engine.logits([long]), head.logits([long]))
    np.testing.assert_array_equal(engine.logits(["superb"]), head.logits(["superb"]))
    texts = [long, "superb", "", long[60:]]
    np.testing.assert_allclose(engine.logits(texts, 3), engine.logits(texts), atol=0.1)


def test_the_recipe_s_choice_is_in_what_the_data_stage_writes(tmp_path):
    from pocketbert.compress.config import DataConfig
    from pocketbert.compress.data import prepare_data

    rows = [{"text": f"film {word} {n}", "label": n % 2} for n, word in enumerate("ab" * 60)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prepare_data(
        config=DataConfig(train=str(tmp_path / "t.jsonl"), validation=0.2, test=0.2),
        task=TaskConfig(
            kind="text-classification", labels=LABELS, max_length=32, truncation="windows"
        ),
        out=tmp_path,
    )
    expected = Truncation(keep="windows", window_overlap=8, window_pooling="mean")
    assert load_description(tmp_path).truncation == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window_overlap": 4}, "beside truncation: windows only"),
        ({"truncation": "tail", "window_pooling": "max"}, "beside truncation: windows only"),
        ({"truncation": "windows", "window_overlap": 17}, "expected 0 to 16"),
        ({"truncation": "windows", "window_overlap": -1}, "expected 0 to 16"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        TaskConfig(kind="text-classification", labels=LABELS, max_length=32, **keys)


def test_windows_of_a_masked_language_model_are_refused():
    with pytest.raises(ValueError, match="cannot be pooled"):
        TaskConfig(kind="masked-language-model", truncation="windows")


def test_surrogates_are_read_as_characters_or_as_unknown(path):
    tokenizer = Tokenizer(path, 16)
    assert ids_of(tokenizer, "film \ud800 dull") == ids_of(tokenizer, "film \ufffd dull")
    assert ids_of(tokenizer, "\ud83d\ude00") == ids_of(tokenizer, "\U0001f600")
    with pytest.raises(TypeError, match="expected a string"):
        tokenizer.encode([3])

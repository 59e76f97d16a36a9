"""What is particular to a kind of task."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from seqeval.metrics import f1_score as entity_f1
from sklearn.metrics import f1_score

from pocketbert.compress.batches import tokenize
from pocketbert.compress.data import Examples, load_split
from pocketbert.compress.folder import load_tokenizer
from pocketbert.compress.texts import Text
from pocketbert.compress.thresholds import best_thresholds
from pocketbert.compress.word_tags import Span, Word, entities, tag_names, tags_of
from pocketbert.deploy.bundle import read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.runners import RUNNERS
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.eval.tasks import MEASURES


def test_the_second_text_is_read_by_its_token_types(chain_of):
    chain = chain_of("pairs")
    engine = Engine.open(chain.bundle)
    pairs = load_split(chain.root / "data", "test").texts
    assert [one.label for one in engine(pairs)] != [
        one.label for one in engine([(second, first) for first, second in pairs])
    ]


def test_the_longer_text_of_a_pair_is_cut_first(chain_of):
    chain = chain_of("pairs")
    tokenizer = load_tokenizer(chain.root / "teacher/model")
    texts: list[Text] = [("film " * 40, "a plot"), ("film " * 40, "plot " * 30), ("a", "b")]
    tokens = tokenize(Examples(texts, np.array([0, 1, 0])), tokenizer, 16)
    types = [one.tolist() for one in tokens.extras["token_type_ids"]]
    # With the special tokens: [CLS] and [SEP] belong to the first text, [SEP] to the second.
    assert [(one.count(0), one.count(1)) for one in types] == [(13, 3), (9, 7), (3, 2)]
    device = Tokenizer(chain.bundle / "tokenizer.json", 16)
    for text, ids, of_text in zip(texts, tokens.input_ids, types, strict=True):
        found = device.encode([text])
        assert found["input_ids"][0].tolist() == ids
        assert found["token_type_ids"][0].tolist() == of_text


def test_a_number_is_the_logit(chain_of):
    chain = chain_of("text-regression")
    engine = Engine.open(chain.bundle)
    texts = load_split(chain.root / "data", "test").texts[:7]
    expected = [pytest.approx(float(row[0])) for row in engine.logits(texts)]
    assert [one.value for one in engine(texts)] == expected


def test_correlations_are_those_of_scipy():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=80)
    logits = (truth + draw.normal(size=80))[:, None].astype(np.float32)
    measure = MEASURES["text-regression"](("value",))
    assert measure.value(logits, truth) == pytest.approx(stats.pearsonr(logits[:, 0], truth)[0])
    spearman = stats.spearmanr(logits[:, 0], truth).statistic
    assert measure.further(logits, truth) == {"spearman": pytest.approx(spearman)}
    statistics = measure.statistics(logits, truth)
    interval = measure.interval(statistics, 0.95, 500)
    assert interval.low < interval.value < interval.high
    kept = measure.retention(statistics, statistics, 0.95, 200)
    assert (kept.low, kept.value, kept.high) == (1, 1, 1)
    assert measure.value(np.zeros((80, 1), dtype=np.float32), truth) == 0


def test_thresholds_are_those_with_the_largest_f1():
    draw = np.random.default_rng(1)
    truth = (draw.random((200, 3)) < 0.3).astype(np.int64)
    logits = (truth * 1.5 - 2 + draw.normal(size=truth.shape)).astype(np.float32)
    for column, threshold in enumerate(best_thresholds(logits, truth)):
        ours, right = logits[:, column], truth[:, column]
        grid = [f1_score(right, ours >= at) for at in np.linspace(-6, 3, 400)]
        assert f1_score(right, ours >= threshold) >= max(grid)
    assert best_thresholds(logits[:, :1], truth[:, :1] * 0) == [0.0]
    alike = np.zeros((4, 1), dtype=np.float32)
    assert best_thresholds(alike, np.array([[1], [0], [1], [1]]))[0] < 0  # all or none


def test_a_bundle_gives_labels_from_its_thresholds_on(chain_of):
    chain = chain_of("multi-label-classification")
    manifest = read_bundle(chain.bundle).manifest
    engine = Engine.open(chain.bundle)
    texts = load_split(chain.root / "data", "test").texts
    logits = engine.logits(texts)
    given = logits >= np.array(manifest.thresholds)
    names = [{label for label, one in zip(engine.labels, row, strict=True) if one} for row in given]
    assert [set(answer.labels) for answer in engine(texts)] == names
    assert {len(one) for one in names} > {0, 1, 2}
    exported = Engine.from_onnx(
        chain.root / "exported", engine.labels, 32, kind="multi-label-classification"
    )
    validation = load_split(chain.root / "data", "validation")
    found = exported.logits(validation.texts, 16)
    assert manifest.thresholds == pytest.approx(best_thresholds(found, validation.labels))


def test_micro_f1_is_that_of_scikit_learn():
    draw = np.random.default_rng(2)
    truth = (draw.random((90, 4)) < 0.4).astype(np.int64)
    logits = draw.normal(size=truth.shape).astype(np.float32) + truth
    measure = MEASURES["multi-label-classification"](tuple("abcd"))
    assert measure.value(logits, truth) == pytest.approx(
        f1_score(truth, logits >= 0, average="micro")
    )


def test_entities_cover_their_characters(chain_of):
    chain = chain_of("token-classification")
    engine = Engine.open(chain.bundle)
    text = "Of  actors is superb\tthe and a dull plot"
    [answer] = engine([text])
    assert [(one.text, one.label) for one in answer.entities] == [
        ("superb\tthe", "GOOD"),
        ("dull", "BAD"),
    ]
    for entity in answer.entities:
        assert text[entity.start : entity.end] == entity.text
        assert 0.5 < entity.score <= 1


def test_only_the_first_token_of_a_word_is_labelled(chain_of):
    chain = chain_of("token-classification")
    tokenizer = load_tokenizer(chain.root / "teacher/model")
    split = load_split(chain.root / "data", "train")
    text = "a fumbling film"  # cut into letters, for the vocabulary does not have it
    split.texts[:1], split.labels[0] = [text], (Span(2, 10, 1),)
    tokens = tokenize(split, tokenizer, 32)
    pieces = tokenizer.convert_ids_to_tokens(tokens.input_ids[0])
    tags = tag_names(("BAD", "GOOD"))
    labelled = [
        (piece, tags[tag]) for piece, tag in zip(pieces, tokens.labels[0], strict=True) if tag >= 0
    ]
    assert len(pieces) > 8
    assert labelled == [("a", "O"), ("f", "B-GOOD"), ("film", "O")]


def test_tags_say_where_entities_begin():
    words = [Word(n + 1, 3 * n, 3 * n + 2) for n in range(6)]
    spans = [Span(3, 8, 0), Span(9, 11, 0), Span(15, 17, 1)]
    tags = tags_of(words, spans)
    assert [tag_names(("A", "B"))[tag] for tag in tags] == ["O", "B-A", "I-A", "B-A", "O", "B-B"]
    assert entities(tags) == [Span(1, 3, 0), Span(3, 4, 0), Span(5, 6, 1)]


def test_entity_f1_is_that_of_seqeval():
    draw = np.random.default_rng(3)
    names = tag_names(("A", "B"))
    truth = draw.integers(0, len(names), size=(40, 12))
    lengths = draw.integers(1, 13, size=40)
    logits = np.full((40, 12, len(names)), np.nan, dtype=np.float32)
    for row, length in enumerate(lengths):
        truth[row, length:] = -100
        logits[row, :length] = draw.normal(size=(length, len(names)))
        logits[row, np.arange(length), truth[row, :length]] += 2.5
    measure = MEASURES["token-classification"](names)
    ours = [
        [names[tag] for tag in logits[row, :length].argmax(-1)]
        for row, length in enumerate(lengths)
    ]
    theirs = [[names[tag] for tag in truth[row, :length]] for row, length in enumerate(lengths)]
    assert 0.2 < measure.value(logits, truth) < 0.95
    assert measure.value(logits, truth) == pytest.approx(entity_f1(theirs, ours))


def test_words_behind_the_longest_input_count_as_missed():
    names = tag_names(("A",))
    truth = np.array([[1, 0, 1]])
    logits = np.array([[[0, 9, 0], [9, 0, 0], [np.nan] * 3]], dtype=np.float32)
    assert MEASURES["token-classification"](names).value(logits, truth) == pytest.approx(2 / 3)


def test_auto_leaves_out_what_answers_whole_texts_alone(chain_of, tmp_path, monkeypatch, caplog):
    """TensorRT as if this machine had it: its runner gives back one row a text."""
    here = replace(RUNNERS["tensorrt"], package="numpy", why_not="", build="", why_not_built="")
    monkeypatch.setitem(RUNNERS, "tensorrt", here)
    chain = chain_of("token-classification")
    with caplog.at_level("INFO"):
        compile_bundle(
            out=tmp_path,
            config=CompileConfig(target="auto"),
            data=chain.root / "data",
            exported=chain.root / "exported",
            quantized=chain.root / "quantized",
            lineage={},
            name="tiny",
        )
    runtimes = {target.runtime for target in read_bundle(tmp_path / "bundle").manifest.targets}
    assert "onnxruntime" in runtimes
    assert "tensorrt" not in runtimes
    assert "tensorrt is not tried: tensorrt's runner takes one answer a text" in caplog.text

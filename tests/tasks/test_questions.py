"""Questions on a context: SQuAD files, windows, answers, and what is refused."""

import json
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Fast

from pocketbert.compress.answer_scores import best_score, exact_match, normalise_answer, word_f1
from pocketbert.compress.answer_spans import NEVER, answer_span, best_spans, null_threshold
from pocketbert.compress.batches import tokenize
from pocketbert.compress.config import CONTEXT, ColumnsConfig, DataConfig, TaskConfig, Truncation
from pocketbert.compress.context_windows import windows_of
from pocketbert.compress.data import Examples, label_array, load_split, prepare_data
from pocketbert.compress.errors import DataError
from pocketbert.compress.folder import load_checkpoint, load_tokenizer
from pocketbert.compress.labelling import UNLABELLED
from pocketbert.compress.window_labels import END, START
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.tasks import TASKS
from pocketbert.deploy.tokenizer import Tokenizer

from ..conftest import FILLER

TASK = TaskConfig(kind="question-answering", max_length=32)
CONTEXT_TEXT = "the film is bright and the story is dull"


def squad(*paragraphs: Any) -> dict[str, Any]:
    return {"version": "v2.0", "data": [{"title": "made", "paragraphs": list(paragraphs)}]}


def paragraph(context: str, *asked: Any) -> dict[str, Any]:
    return {"context": context, "qas": list(asked)}


def question(text: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    told = [{"text": context, "answer_start": start} for context, start in answers]
    return {"id": text, "question": text, "answers": told, **more}


def prepare(folder, *paragraphs, validation=0.3, **more):
    path = folder / "asked.json"
    path.write_text(json.dumps(squad(*paragraphs)))
    config = DataConfig(train=str(path), validation=validation, test=0.3, **more)
    return prepare_data(config=config, task=TASK, out=folder)


def test_a_squad_file_loads_unchanged_and_a_context_stays_in_one_split(tmp_path):
    paragraphs = [
        paragraph(
            f"{CONTEXT_TEXT} {number}",
            question("how is the film?", ("bright", 12), ("is bright", 9), is_impossible=False),
            question("how is the plot?", is_impossible=True, plausible_answers=[]),
        )
        for number in range(30)
    ]
    said = prepare(tmp_path, *paragraphs)
    assert (said["pairs"], said["labels"]) == (True, ["start", "end"])
    assert said["class_counts"]["test"]["answered"] == said["class_counts"]["test"]["impossible"]
    splits = [load_split(tmp_path, name) for name in ("train", "validation", "test")]
    assert sum(map(len, splits)) == 60
    contexts = [{context for _, context in split.texts} for split in splits]
    assert sum(map(len, contexts)) == 30
    for (asked, context), spans in zip(splits[0].texts, splits[0].labels, strict=True):
        told = [context[span.start : span.end] for span in spans]
        assert told == (["bright", "is bright"] if "film" in asked else [])


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (
            question("how?", ("bright", 11)),
            "row 1: the context has ' brigh' at answer_start 11, expected the answer 'bright'",
        ),
        (question("how?", ("dull", 400)), "the context has '' at answer_start 400"),
        (question("how?", ("bright", -1)), "at answer_start -1"),
        (question("how?"), "row 1: the question 'how[?]' has no answers, expected some, or"),
        (question(" ", ("bright", 12)), "row 1: the text is empty"),
    ],
)
def test_a_wrong_question_is_named(tmp_path, asked, complaint):
    with pytest.raises(DataError, match=complaint):
        prepare(tmp_path, paragraph(CONTEXT_TEXT, asked))


def test_a_question_without_context_is_refused(tmp_path):
    with pytest.raises(DataError, match="row 1: the pair is empty"):
        prepare(tmp_path, paragraph("", question("how?", is_impossible=True)))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "how?", "label": {"text": [], "answer_start": []}}))
    config = DataConfig(train=str(rows), validation=0.1, test=0.1, columns=ColumnsConfig())
    with pytest.raises(DataError, match=r"the question 'how\?' has no context, expected the text"):
        prepare_data(config=config, task=TASK, out=tmp_path)


def test_what_is_no_squad_file_is_refused(tmp_path):
    for text, complaint in (
        ('{"data": [{"paragraphs": [{}]}]}', "has no 'context' behind question 0"),
        ('["a"]', "has another shape"),
        ('{"data": ', r"row 1 is malformed at character 10"),
    ):
        path = tmp_path / "asked.json"
        path.write_text(text)
        config = DataConfig(train=str(path), validation=0.1, test=0.1)
        with pytest.raises(DataError, match=complaint):
            prepare_data(config=config, task=TASK, out=tmp_path)


@pytest.fixture(scope="module")
def fast(tiny_checkpoint):
    return Fast.from_file(str(tiny_checkpoint / "tokenizer.json"))


@pytest.mark.parametrize("words", [0, 1, 19, 20, 21, 60])
def test_windows_read_all_of_a_context_and_share_what_was_asked_for(fast, words):
    context = " ".join(random.Random(words).choices(FILLER, k=words))
    encoding = fast.encode("is this a film", context)
    windows = windows_of(encoding, 27, 5)
    assert all(len(window.ids) <= 27 for window in windows)
    assert all(window.ids[:6] == encoding.ids[:6] for window in windows)
    assert all(window.ids[-1] == encoding.ids[-1] for window in windows)
    read = [range(one.first, one.first + one.tokens) for one in windows]
    assert sorted({token for part in read for token in part}) == list(range(words))
    for before, after in pairwise(read):
        assert len(set(before) & set(after)) == 5
    tokens = encoding.ids[6:-1]
    for window in windows:
        here = window.ids[window.position : window.position + window.tokens]
        assert here == tokens[window.first : window.first + window.tokens]


def test_a_long_question_leaves_room_for_its_context(fast):
    encoding = fast.encode(" ".join(FILLER * 10), " ".join(FILLER * 3))
    windows = windows_of(encoding, 32, 20)
    assert {len(window.ids) for window in windows[:-1]} == {32}
    assert windows[0].position == 18
    assert sum(window.tokens for window in windows) >= 36
    with pytest.raises(DataError, match="expected room for the context"):
        windows_of(encoding, 6, 0)


def test_training_and_device_read_the_same_windows(tiny_checkpoint):
    text = ("is this a film", " ".join(random.Random(0).choices(FILLER, k=50)) + " superb.")
    start = text[1].index("superb")
    labels = label_array([[{"start": start, "end": start + 6, "label": 0}]])
    truncation = Truncation(keep=CONTEXT, window_overlap=8)
    examples = tokenize(Examples([text], labels), load_tokenizer(tiny_checkpoint), 32, truncation)
    device = Tokenizer(tiny_checkpoint / "tokenizer.json", 32, truncation)
    rows = device.windows(text)
    assert len(rows) > 2
    assert examples.input_ids == [ids for ids, _ in rows]
    types = [one.tolist() for one in examples.extras["token_type_ids"]]
    assert types == [type_ids for _, type_ids in rows]
    *others, last = examples.labels
    assert all(marks[0] == START | END and set(marks[1:]) == {UNLABELLED, 0} for marks in others)
    [answer] = [place for place, mark in enumerate(last) if mark > 0]
    assert last[answer] == START | END
    superb = load_tokenizer(tiny_checkpoint).convert_tokens_to_ids("superb")
    assert examples.input_ids[-1][answer] == superb


def test_an_answer_is_marked_where_a_window_holds_all_of_it(tiny_checkpoint):
    context = " ".join(FILLER * 4)
    start = context.index("very this")
    spans = label_array([[{"start": start, "end": start + 9, "label": 0}]])
    truncation = Truncation(keep=CONTEXT, window_overlap=4)
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(Examples([("film", context)], spans), tokenizer, 16, truncation)
    for ids, marks in zip(examples.input_ids, examples.labels, strict=True):
        words = tokenizer.convert_ids_to_tokens(ids)
        begins, ends = (
            [n for n, mark in enumerate(marks) if mark > 0 and mark & bit] for bit in (START, END)
        )
        assert len(begins) == len(ends) == 1
        if begins != [0]:
            assert (words[begins[0]], words[ends[0]]) == ("very", "this")
            assert ends[0] == begins[0] + 1
    assert sum(marks[0] == 0 for marks in examples.labels) >= 1


def test_windows_are_combined_by_the_most_context(tiny_checkpoint):
    """A window's edge knows least: what it says there does not count where another one reads on."""
    task = TASKS["question-answering"](("start", "end"))
    tokenizer = Tokenizer(
        tiny_checkpoint / "tokenizer.json", 32, Truncation(keep=CONTEXT, window_overlap=10)
    )
    text = ("film", " ".join(random.Random(1).choices(FILLER, k=45)))
    reading = task.read(tokenizer, text)
    windows, offsets = tokenizer.context_windows(text)
    assert len(windows) == 2
    found = [
        np.full((len(ids), 2), number, dtype=np.float32)
        for number, (ids, _) in enumerate(reading.rows)
    ]
    found[0][0], found[1][0] = (5, 5), (1, 2)
    logits = task.gather(found, reading.words)
    assert logits.shape == (46, 2)
    assert logits[0].tolist() == [1, 2]
    middle = windows[1].first + 5
    assert logits[1:, 0].tolist() == [0] * middle + [1] * (45 - middle)
    assert [(word.start, word.end) for word in reading.words] == offsets


def test_best_spans_are_those_of_trying_all():
    values = np.random.default_rng(0).normal(size=(41, 2)).astype(np.float32)
    tried = [
        (float(values[1 + a, 0]) + float(values[1 + b, 1]), a, b)
        for a in range(40)
        for b in range(a, min(a + 30, 40))
    ]
    found = best_spans(values, 7)
    assert [(one.first, one.last) for one in found] == [
        (a, b) for _, a, b in sorted(tried, reverse=True)[:7]
    ]
    assert answer_span(values) == found[0]
    values[0] = 10
    assert answer_span(values) is None
    assert answer_span(values[:1]) is None


def test_the_threshold_is_the_best_of_all():
    draw = np.random.default_rng(1)
    leads = draw.normal(size=30).round(1)
    silent = (draw.random(30) < 0.4).astype(float)
    answered = np.where(silent > 0, 0, draw.random(30))

    def mean(threshold):
        return np.where(leads > threshold, silent, answered).mean()

    best = max(mean(one) for one in np.arange(-4, 4, 0.05))
    assert mean(null_threshold(leads, answered, silent)) == pytest.approx(best)
    assert null_threshold(leads, answered, np.zeros(30)) == NEVER


@pytest.mark.parametrize(
    ("answer", "truths", "exact", "f1"),
    [
        # By the rules of SQuAD's evaluation, worked out by hand.
        ("The Beatles!", ["beatles"], 1, 1),
        ("in the year 1998", ["1998"], 0, 0.5),
        ("new york city", ["York", "New York"], 0, 0.8),
        ("a cat, an owl", ["cat owl"], 1, 1),
        ("state-of-the-art", ["stateoftheart"], 1, 1),
        ("", [], 1, 1),
        ("word", [], 0, 0),
        ("", ["word"], 0, 0),
        ("the", ["the", "word"], 0, 0),
        ("go go go", ["go go"], 0, 0.8),
        ("U.S.", ["us"], 1, 1),
        ("Ünder\u00a0water", ["ünder water"], 1, 1),
    ],
)
def test_scores_are_squads(answer, truths, exact, f1):
    assert best_score(exact_match, answer, truths) == exact
    assert best_score(word_f1, answer, truths) == pytest.approx(f1)
    assert normalise_answer(normalise_answer(answer)) == normalise_answer(answer)


def test_an_engine_answers_with_characters(chain_of):
    chain = chain_of("question-answering")
    engine = Engine.open(chain.bundle)
    examples = load_split(chain.root / "data", "test")
    answers = engine(examples.texts)
    told = silent = 0
    for (_, context), answer in zip(examples.texts, answers, strict=True):
        assert answer.text == context[answer.start : answer.end]
        assert 0 <= answer.score <= 1
        scores = [one.score for one in answer.candidates]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        told += answer.answerable
        silent += not answer.answerable
        if answer.answerable:
            assert answer.text == answer.candidates[0].text
    assert told > 0
    assert silent > 0


def test_an_answer_is_found_in_a_later_window(chain_of):
    chain = chain_of("question-answering")
    engine = Engine.open(chain.bundle)
    examples = load_split(chain.root / "data", "test")
    pairs = zip(examples.texts, examples.labels, engine(examples.texts), strict=True)
    right = [
        (text, spans[0])
        for text, spans, answer in pairs
        if spans and (answer.start, answer.end) == (spans[0].start, spans[0].end)
    ][:20]
    filler = "is and of with a very this " * 8
    moved = [(asked, filler + context) for (asked, context), _ in right]
    found = sum(
        (answer.start, answer.end) == (len(filler) + span.start, len(filler) + span.end)
        for answer, (_, span) in zip(engine(moved, batch_size=4), right, strict=True)
    )
    assert found >= 0.5 * len(right) > 0


def test_without_impossible_questions_there_is_always_an_answer(chain_of):
    chain = chain_of("question-answering")
    engine = Engine.open(chain.bundle)
    examples = load_split(chain.root / "data", "validation")
    rows = [row for row, spans in enumerate(examples.labels) if spans]
    texts = [examples.texts[row] for row in rows]
    assert engine.best_thresholds(texts, examples.labels[rows], 8) == [NEVER / 2] * 2


def test_a_checkpoint_that_answers_questions_keeps_its_head(tmp_path, tiny_checkpoint):
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    torch.manual_seed(1)
    asked = BertForQuestionAnswering(BertConfig.from_pretrained(tiny_checkpoint)).eval()
    asked.save_pretrained(tmp_path)
    model = load_checkpoint(tmp_path, ("start", "end"), "question-answering").eval()
    ids = torch.tensor([[2, 40, 50, 3, 45, 3]])
    with torch.inference_mode():
        output, logits = asked(ids), model(ids).logits
    torch.testing.assert_close(logits[..., 0], output.start_logits)
    torch.testing.assert_close(logits[..., 1], output.end_logits)

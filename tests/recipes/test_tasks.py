"""What a recipe may not ask of a kind of task, and what is said about it."""

import pytest

from pocketbert.compress.errors import RecipeError
from pocketbert.recipes.cache import StageCache
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.pipeline import plan

ENTITIES = ["task.kind=token-classification"]
QUESTIONS = ["task.kind=question-answering", "task.labels=[]"]
SEVERAL = ["task.kind=multi-label-classification"]
VECTORS = [
    "task={kind: text-retrieval, labels: []}",
    "data.columns.pair=answer",
    "teacher.training=null",
    "distill.objectives={soft_targets: null, hidden: null, cosine: {weight: 1}}",
    "prune.objectives={labels: null, similarities: {weight: 1}}",
]
TRANSLATION = [
    "task={kind: translation, labels: []}",
    "teacher.decoder={layers: 2}",
    "distill.student.decoder_layers=1",
    "distill.objectives={hidden: null, labels: {weight: 0.5}}",
    "prune=null",
]
TRANSFER = "transfer={unlabelled: [{source: more.csv}]}"

# Overrides -> what is said.
MISTAKES = {
    "several labels by a threshold": (
        [*SEVERAL, "data.label_threshold=2.5"],
        r"label_threshold is 2\.5, expected no threshold where task\.kind is 'multi-label-",
    ),
    "tagged words for whole texts": (
        ["data.format=conll"],
        "data.format is 'conll', expected another where task.kind is 'text-classification'",
    ),
    "a table without lists": (
        [*ENTITIES, "data.format=csv"],
        "data.format is 'csv', expected 'jsonl', 'parquet' or 'conll'",
    ),
    "pairs with entities": (
        [*ENTITIES, "data.columns.pair=second"],
        r"data\.columns\.pair is 'second', expected none .*, which reads single texts",
    ),
    "pairs with further texts": (
        ["data.columns.pair=second", TRANSFER],
        r"transfer is a section, expected none \(null\) beside data\.columns\.pair",
    ),
    "entities with further texts": (
        [*ENTITIES, TRANSFER],
        r"transfer is a section, expected none \(null\) where task\.kind is 'token-",
    ),
    "vectors without a second text": (
        [*VECTORS, "data.columns.pair=null"],
        r"data\.columns\.pair is missing, expected the column of the second text",
    ),
    "vectors of a teacher in training": (
        [*VECTORS, "teacher.training={epochs: 1, learning_rate: 1e-5}"],
        r"teacher\.training is a section, expected none \(null\) where task\.kind is 'text-retr",
    ),
    "vectors learned as labels": (
        [*VECTORS, "distill.objectives.logits={weight: 1}"],
        r"distill\.objectives\.logits is a section, .*, whose answers are vectors",
    ),
    "labels learned as vectors": (
        ["distill.objectives.cosine={weight: 1}"],
        r"distill\.objectives\.cosine is a section, .*, whose answers are labels",
    ),
    "windows of vectors": (
        [*VECTORS, "task.truncation=windows"],
        "expected head, tail or head.tail where kind is 'text-retrieval'",
    ),
    "labels without training": (
        ["teacher.training=null"],
        "teacher.training is missing, expected a section with the keys epochs, learning_rate",
    ),
    "questions for whole texts": (
        ["data.format=squad"],
        "data.format is 'squad', expected another where task.kind is 'text-classification'",
    ),
    "questions from a table without lists": (
        [*QUESTIONS, "data.format=csv"],
        "data.format is 'csv', expected 'jsonl', 'parquet' or 'squad'",
    ),
    "questions with pooled windows": (
        [*QUESTIONS, "task.truncation=windows"],
        "truncation or window_pooling is given, expected neither",
    ),
    "questions with labels": (
        ["task.kind=question-answering", "task.labels=[a, b]"],
        "labels has 2 entries, expected none .*, which reads answers in a context",
    ),
    "files of texts for the labels of words": (
        [*ENTITIES, "data.format=label-files"],
        "data.format is 'label-files', expected 'jsonl', 'parquet' or 'conll'",
    ),
    "folders of texts for the labels of words": (
        [*ENTITIES, "data.format=label-folders"],
        "data.format is 'label-folders', expected 'jsonl', 'parquet' or 'conll'",
    ),
    "files of texts for pairs": (
        ["data.format=label-files", "data.columns.pair=second"],
        r"data\.format is 'label-files', expected another beside data\.columns\.pair",
    ),
    "words with tags for whole texts": (
        ["data.format=tagged"],
        "data.format is 'tagged', expected another where task.kind is 'text-classification'",
    ),
    "blocks of rows that stay together anyway": (
        [*VECTORS, "data.block=100"],
        r"data\.block is 100, expected none \(null\) where task\.kind is 'text-retrieval'",
    ),
    "Chinese words of whole texts": (
        ["task.split_chinese=true"],
        "split_chinese is true, expected false where kind is 'text-classification'",
    ),
    "beams of whole texts": (
        ["task.beams=4"],
        "beams is 4, expected 1 where kind is 'text-classification'",
    ),
    "too many beams": ([*TRANSLATION, "task.beams=64"], "beams is 64, expected 1 to 16"),
    "a decoder for whole texts": (
        ["teacher.decoder={layers: 2}"],
        r"teacher\.decoder is a section, expected none .*, which writes no texts",
    ),
    "a student's decoder for whole texts": (
        ["distill.student.decoder_layers=1"],
        r"distill\.student\.decoder_layers is 1, expected none .*, which writes no texts",
    ),
    "beams of a teacher of whole texts": (
        ["distill.teacher_beams=4"],
        r"distill\.teacher_beams is 4, expected none .*, which writes no texts",
    ),
    "a teacher without beams": (
        [*TRANSLATION, "distill.teacher_beams=0"],
        r"distill\.teacher_beams is 0, expected 1 to 16",
    ),
    "a translator without a decoder": (
        [*TRANSLATION, "teacher.decoder=null"],
        "teacher.decoder is missing, expected a section with the keys layers, vocabulary",
    ),
    "a student without a decoder": (
        [*TRANSLATION, "distill.student.decoder_layers=null"],
        "distill.student.decoder_layers is missing, expected how many layers of the decoder",
    ),
    "a student from elsewhere": (
        [*TRANSLATION, "distill.student.init=fresh"],
        "distill.student.init is 'fresh', expected 'teacher' where task.kind is 'translation'",
    ),
    "a narrower translator": (
        [*TRANSLATION, "distill.student.hidden_size=128"],
        r"distill\.student\.hidden_size is given, expected none .*, whose student has fewer",
    ),
    "a translator with fewer words": (
        [*TRANSLATION, "trim={}"],
        r"trim is a section, expected none .* 'translation', whose models become smaller by",
    ),
    "a translator that is pruned": (
        [*TRANSLATION, "prune={heads: 0.5, objectives: null, training: null}"],
        r"prune is a section, expected none .* 'translation', whose models become smaller by",
    ),
    "a translator that learns states": (
        [*TRANSLATION, "distill.objectives.hidden={weight: 1}"],
        r"distill\.objectives\.hidden is a section, .*, which learns by soft_targets and labels",
    ),
    "a translator with smooth activations": (
        [*TRANSLATION, "quantize.method=smoothquant"],
        "quantize.method is 'smoothquant', expected 'static' or 'dynamic'",
    ),
    "a translator under guard": (
        [*TRANSLATION, "quantize.guard={}"],
        r"quantize\.guard is given, expected none .*, whose model is two graphs",
    ),
    "a translator on OpenVINO": (
        [*TRANSLATION, "compile.also=[openvino]"],
        "compile names onnxruntime, openvino, expected onnxruntime alone",
    ),
    "translations in windows": (
        [*TRANSLATION, "task.truncation=tail"],
        "task.truncation is 'tail', expected 'head' where task.kind is 'translation'",
    ),
    "folders of translations": (
        [*TRANSLATION, "data.format=label-folders"],
        "data.format is 'label-folders', expected 'csv', 'tsv', 'jsonl' or 'parquet'",
    ),
    "entities on TensorRT": (
        [*ENTITIES, "compile.also=[tensorrt]"],
        "compile names tensorrt, expected other targets",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_task_cannot_have_is_said(mistake, write):
    overrides, message = MISTAKES[mistake]
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(), overrides)
    assert len(caught.value.problems) == 1


def test_entities_by_an_lstm_are_refused(write):
    overrides = [*ENTITIES, "distill.objectives.hidden=null", "prune=null"]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(("    layers: 3", "    bilstm: {}")), overrides)
    said = "distill.student.bilstm is a section, expected none (null) where task.kind is "
    assert said + "'token-classification', because it answers whole texts" in str(caught.value)
    # Without its BiLSTM the student has no form at all, which is said too.
    assert len(caught.value.problems) == 2


def test_vectors_are_not_learned_by_an_lstm(write):
    changes = ["distill.student={layers: null, bilstm: {}}", "prune=null"]
    with pytest.raises(
        RecipeError, match=r"distill\.student\.bilstm is a section, .*text-retrieval"
    ):
        load_recipe(write(), [*VECTORS[:-1], *changes])


@pytest.mark.parametrize("kind", ["text-regression", "multi-label-classification"])
def test_a_key_that_came_later_leaves_what_was_computed_valid(kind, write, here):
    """The column of a second text counts only where there is one."""
    (here / "reviews.csv").write_text("review,stars\n")
    cache = StageCache(here / "work")
    labels = ["task.labels=[]"] if kind == "text-regression" else []
    before = {s.name: s.fingerprint for s in plan(load_recipe(write()), cache)}
    spelled = {
        s.name: s.fingerprint for s in plan(load_recipe(write(), ["data.columns.pair=null"]), cache)
    }
    assert before == spelled
    changed = load_recipe(write(), [f"task.kind={kind}", *labels])
    for step in plan(changed, cache):
        assert step.fingerprint != before[step.name]

"""Vectors of texts: what is in the model, in its folder, in the objectives and in the metrics."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, GPT2Config, MPNetConfig

from pocketbert.compress.batches import Collate, tokenize
from pocketbert.compress.compared import document_ranks, pair_cosines
from pocketbert.compress.config import (
    ColumnsConfig,
    CosineConfig,
    DataConfig,
    ObjectivesConfig,
    SimilaritiesConfig,
    StudentConfig,
    TaskConfig,
)
from pocketbert.compress.data import load_split, prepare_data
from pocketbert.compress.embedder import AutoEmbedder, MPNetEmbedder, projects
from pocketbert.compress.errors import DataError, ModelError, UserError
from pocketbert.compress.folder import (
    ModelDescription,
    load_checkpoint,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.labelling import UNLABELLED
from pocketbert.compress.learner import StudentWithObjectives
from pocketbert.compress.relative_bias import as_bert
from pocketbert.compress.sentence_transformers import MODULES, read_modules
from pocketbert.compress.split import normalise
from pocketbert.compress.student import build_student
from pocketbert.compress.teacher_outputs import TeacherOutputs, load_teacher_outputs
from pocketbert.deploy.engine import Engine
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.paired import compare_predictions
from pocketbert.eval.score import Table, measure_table, score
from pocketbert.eval.tasks import MEASURES

from .conftest import write_rows

KIND = "sentence-similarity"
TEXTS = ["the film is very dull", "a story", "gripping and tender actors of this film"]
QUICK = EvaluateConfig(resamples=100, latency_texts=4, latency_rounds=1)


def pooled(folder, text: str, pooling: str):
    """By hand, a text alone, so that there is no padding to leave out."""
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state[0]
    vector = states.mean(0) if pooling == "mean" else states[0]
    return (vector / vector.norm()).numpy()


def with_modules(checkpoint, folder, *types: str, pooling=None):
    """Copy a checkpoint and say what follows on it."""
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{name}" if n else "", "type": f"some.{name}"}
        for n, name in enumerate(types)
    ]
    (folder / MODULES).write_text(json.dumps(modules))
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    return folder


def vectors_of(model, folder, texts=TEXTS):
    batch = load_tokenizer(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(batch["input_ids"], batch["attention_mask"]).logits.numpy()


CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


@pytest.mark.parametrize(
    ("said", "pooling"), [(CLS, "cls"), ({"pooling_mode": "mean"}, "mean"), (None, "mean")]
)
def test_a_checkpoint_is_pooled_as_its_folder_says(said, pooling, tiny_checkpoint, tmp_path):
    folder = tiny_checkpoint
    if said:
        folder = with_modules(folder, tmp_path, "Transformer", "Pooling", pooling=said)
    found = vectors_of(load_checkpoint(folder, (), KIND), folder)
    expected = [pooled(tiny_checkpoint, text, pooling) for text in TEXTS]
    assert np.abs(found - expected).max() < 1e-6  # padded, and with other texts beside it


def test_an_engine_gives_the_teachers_vectors_and_answers_know_their_cosine(chain_of):
    chain = chain_of(KIND)
    teacher = Engine.from_model_folder(chain.root / "teacher/model")
    found = teacher.logits(TEXTS, batch_size=3)
    expected = [pooled(chain.root / "teacher/model", text, "mean") for text in TEXTS]
    assert np.abs(found - expected).max() < 1e-6
    engine = Engine.open(chain.bundle)
    ours = engine.logits(TEXTS)
    assert ours.shape == found.shape
    assert np.abs(np.linalg.norm(ours, axis=1) - 1).max() < 1e-5
    assert (ours * found).sum(1).min() > 0.9
    first, second = engine(TEXTS[:2])
    assert first.vector == pytest.approx(ours[0].tolist(), abs=1e-6)
    assert first.similarity(second) == pytest.approx(float(ours[0] @ ours[1]), abs=1e-5)
    assert engine.logits([]).shape[0] == 0


def test_what_has_no_place_in_these_models_is_refused(tiny_checkpoint, tmp_path):
    def refuses(name, message, *types, **more):
        folder = tmp_path / name
        folder.mkdir()
        with_modules(tiny_checkpoint, folder, *types, **more)
        with pytest.raises(ModelError, match=message):
            load_checkpoint(folder, (), KIND)

    refuses("a", "has the module WordWeights, expected each of", "Transformer", "WordWeights")
    most = {"pooling_mode": "max"}
    refuses("c", "pools by pooling_mode_max, expected", "Transformer", "Pooling", pooling=most)
    both = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    refuses("d", "expected the mean of the", "Transformer", "Pooling", pooling=both)


def test_a_student_of_another_width_projects_to_the_teachers(chain_of, tiny_checkpoint, tmp_path):
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(tiny_checkpoint)
    config.hidden_size, config.num_attention_heads = 16, 2
    BertModel(config).save_pretrained(tmp_path)
    load_tokenizer(tiny_checkpoint).save_pretrained(tmp_path)
    teacher = chain_of(KIND).root / "teacher/model"
    student, _ = build_student(StudentConfig(init=str(tmp_path), layers=2), teacher, (), kind=KIND)
    assert (student.classifier.in_features, student.classifier.out_features) == (16, 32)
    save_model(student, load_tokenizer(tmp_path), ModelDescription((), 32, kind=KIND), tmp_path)
    again = load_model(tmp_path)
    student.eval()
    assert np.array_equal(vectors_of(again, tmp_path), vectors_of(student, tmp_path))
    modules = read_modules(tmp_path)
    assert modules is not None
    assert torch.equal(modules.weight, student.classifier.weight)
    assert np.array_equal(  # as a checkpoint, whose projection stands in its modules
        vectors_of(load_checkpoint(tmp_path, (), KIND), tmp_path), vectors_of(again, tmp_path)
    )


def test_only_folders_that_the_library_could_load_say_that_it_can(chain_of):
    root = chain_of(KIND).root
    assert not projects(load_model(root / "teacher/model"))
    assert projects(load_model(root / "student/model"))
    assert (root / "student/model/2_Dense/model.safetensors").is_file()
    assert not (root / "teacher/model/2_Dense").exists()
    assert not (root / "pruned/model" / MODULES).exists()


def test_an_mpnet_becomes_a_bert_with_the_same_vectors(vocabulary):
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    config.pooling, config.num_labels = "cls", 24
    model = AutoEmbedder.from_config(config).eval()
    assert isinstance(model, MPNetEmbedder)
    ids = torch.randint(5, len(vocabulary), (2, 9))
    mask = torch.ones_like(ids)
    ids[1, 6:], mask[1, 6:] = config.pad_token_id, 0
    with torch.no_grad():
        ours, theirs = (one(ids, mask).logits for one in (as_bert(model), model))
    assert ours.shape == (2, 24)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_an_unknown_type_of_model_is_named():
    with pytest.raises(ModelError, match="is of type 'gpt2', expected one of bert, mpnet"):
        AutoEmbedder.from_config(GPT2Config())


def of_batch(objectives, vectors, wanted):
    """The term of one objective, for vectors that a model would give."""
    from pocketbert.compress.objectives import OBJECTIVES
    from pocketbert.compress.states import ModelOutput

    [(name, config)] = objectives.chosen.items()
    student = AutoEmbedder.from_config(small_config(vectors.shape[1]))
    outputs = TeacherOutputs(wanted.numpy(), wanted.numpy(), 2, 2, kind=KIND)
    term = OBJECTIVES[name](config, student, outputs)
    return float(term(ModelOutput(vectors), {"teacher_logits": wanted}))


def small_config(width: int):
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    config.pooling, config.num_labels = "mean", width
    return config


def test_objectives_are_what_they_say():
    draw = np.random.default_rng(0)
    ours, theirs = (draw.normal(size=(4, 6)).astype(np.float32) for _ in range(2))

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    found = {
        name: of_batch(ObjectivesConfig(**{name: config}), torch.tensor(ours), torch.tensor(theirs))
        for name, config in (
            ("cosine", CosineConfig(weight=1.0)),
            ("similarities", SimilaritiesConfig(weight=1.0)),
        )
    }
    expected = 1 - np.mean([cosine(a, b) for a, b in zip(ours, theirs, strict=True)])
    assert found["cosine"] == pytest.approx(expected, abs=1e-6)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    errors = [(cosine(ours[i], ours[j]) - cosine(theirs[i], theirs[j])) ** 2 for i, j in pairs]
    assert found["similarities"] == pytest.approx(np.mean(errors), abs=1e-6)
    other = torch.tensor(theirs[:, :5])
    with pytest.raises(ModelError, match="the teacher gives 5 labels, expected the student's 6"):
        of_batch(ObjectivesConfig(cosine=CosineConfig(weight=1.0)), torch.tensor(ours), other)


@pytest.mark.parametrize("name", ["cosine", "similarities"])
def test_each_objective_is_learned(name, chain_of):
    """The loss of one batch falls within a few steps."""
    root = chain_of(KIND).root
    torch.manual_seed(0)
    config = StudentConfig(init="fresh", layers=2)
    student, _ = build_student(config, root / "teacher/model", (), kind=KIND)
    classes = {"cosine": CosineConfig, "similarities": SimilaritiesConfig}
    outputs = load_teacher_outputs(root / "outputs")
    objectives = ObjectivesConfig(**{name: classes[name](weight=1.0)})
    model = StudentWithObjectives(student, objectives, outputs)
    tokenizer = load_tokenizer(root / "teacher/model")
    train = tokenize(load_split(root / "data", "train"), tokenizer, 32)
    train.extras = {"teacher_logits": torch.from_numpy(outputs.logits.copy())}
    batch = Collate(tokenizer.pad_token_id)([train[row] for row in range(16)])
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = model.train()(**batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_spearman_is_scipys_and_leaves_out_a_text_without_its_other():
    draw = np.random.default_rng(0)
    vectors = unit(draw.normal(size=(41, 8)))
    numbers = draw.permutation(np.repeat(np.arange(21), 2))[:41]  # one pair lost a text
    scores = draw.integers(0, 6, 21).astype(float)
    labels = np.stack([numbers, scores[numbers]], axis=1)
    cosines, gold = pair_cosines(vectors, labels)
    alone = [n for n, count in Counter(numbers.tolist()).items() if count == 1]
    assert len(cosines) == 20
    assert alone
    measure = MEASURES[KIND](())
    expected = spearmanr(cosines, gold).statistic
    assert measure.value(vectors, labels) == pytest.approx(expected)
    pair = np.flatnonzero(numbers == next(n for n in range(21) if n not in alone))
    assert float(vectors[pair[0]] @ vectors[pair[1]]) == pytest.approx(
        cosines[np.isclose(cosines, vectors[pair[0]] @ vectors[pair[1]])][0], abs=1e-6
    )
    interval = measure.interval(measure.statistics(vectors, labels), 0.95, 500)
    assert interval.low < expected < interval.high


def test_ranks_are_counted_among_all_documents_and_ties_are_lost():
    vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1], [1, 0], [-1, 0], [1, 1], [1, 1]]))
    # Documents 0, 1 and 2, then queries of 0, of 1, of 9, which is not there, and of 2.
    labels = np.array([[0, 1], [1, 1], [2, 1], [0, 0], [1, 0], [9, 0], [2, 0]])
    ranks = document_ranks(vectors, labels)
    assert ranks.tolist() == [1, 2, 3]
    twins = np.concatenate([vectors, vectors[:1]])
    with_twin = np.concatenate([labels, [[5, 1]]])
    assert document_ranks(twins, with_twin)[0] == 2
    measure = MEASURES["text-retrieval"](())
    assert measure.value(vectors, labels) == pytest.approx(1 / 3)
    assert measure.further(vectors, labels)["recall@5"] == 1
    assert document_ranks(vectors[:3], labels[:3]).tolist() == []


def test_splits_do_not_share_a_text(tmp_path):
    """A sentence that was compared with several others would stand on both sides."""
    rows = [{"text": f"story {n % 30}", "pair": f"plot {n}", "label": n % 5} for n in range(300)]
    table = write_rows(tmp_path / "rows.jsonl", rows)
    described = prepare_data(
        config=DataConfig(
            train=str(table), validation=0.2, test=0.2, columns=ColumnsConfig(pair="pair")
        ),
        task=TaskConfig(kind=KIND),
        out=tmp_path,
    )
    splits = {
        name: {normalise(text) for text in load_split(tmp_path, name).texts}
        for name in ("train", "validation", "test")
    }
    assert not splits["train"] & (splits["validation"] | splits["test"])
    assert not splits["validation"] & splits["test"]
    assert described["dropped_duplicates"]["train"] > 0


def test_a_document_keeps_its_queries_beside_it(tmp_path):
    rows = [{"text": f"query {n}", "pair": f"Document {n // 3}"} for n in range(90)]
    table = write_rows(tmp_path / "rows.jsonl", rows)
    config = DataConfig(
        train=str(table), validation=0.3, test=0.3, columns=ColumnsConfig(pair="pair")
    )
    prepare_data(config=config, task=TaskConfig(kind="text-retrieval"), out=tmp_path)
    for split in ("train", "validation", "test"):
        labels = load_split(tmp_path, split).labels
        documents = labels[labels[:, 1] == 1, 0]
        assert sorted(set(documents)) == sorted(documents)
        queries = Counter(labels[labels[:, 1] == 0, 0].tolist())
        assert queries == dict.fromkeys(documents.tolist(), 3)
    assert UNLABELLED not in labels
    few = replace(config, train=str(write_rows(tmp_path / "few.jsonl", rows[:3])), test=str(table))
    with pytest.raises(DataError, match="split has"):
        prepare_data(config=few, task=TaskConfig(kind="text-retrieval"), out=tmp_path)


def test_a_bundle_is_scored_by_either_kind_of_table(chain_of, tmp_path):
    bundle = chain_of("text-retrieval").bundle
    path = write_rows(tmp_path / "rows.jsonl", chain_of(KIND).case.rows[:40])
    own = Table(path=path, columns=ColumnsConfig(pair="pair"))

    def scored(table):
        return score(measure_table(bundle, table, config=QUICK)[0], QUICK)

    kept = measure_table(bundle, own, config=QUICK)[0]
    with pytest.raises(DataError, match="answer with vectors, expected answers that are right or"):
        compare_predictions([kept], [kept], QUICK)
    other = scored(replace(own, task=KIND))
    assert other.metric == "spearman"
    assert other.accuracy.value > 0.5
    found = scored(own)
    assert found.metric == "recall@1"
    assert set(found.further) == {"recall@5", "recall@10", "mean reciprocal rank"}
    with pytest.raises(UserError, match="expected sentence-similarity or text-retrieval, which"):
        scored(replace(own, task="mind-reading"))


BY_THE_LIBRARY = """
import json, sys
import numpy as np
from sentence_transformers import SentenceTransformer
folder, texts, out = sys.argv[1:]
model = SentenceTransformer(folder, device="cpu")
np.save(out, model.encode(json.loads(texts), normalize_embeddings=True))
model.save(out + ".saved")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library beside this environment's torch and transformers, and nowhere else."""
    folder = tmp_path_factory.mktemp("library")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*command, str(folder), "sentence-transformers==6.2.0"], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("which", ["checkpoint", "teacher", "student"])
def test_the_library_gives_the_same_vectors(which, library, chain_of, tiny_checkpoint, tmp_path):
    """Of a plain checkpoint, and of folders that are written here, with and without projection."""
    root = chain_of(KIND).root
    folder = tiny_checkpoint if which == "checkpoint" else root / which / "model"
    texts = load_split(root / "data", "test").texts[:100]
    out = tmp_path / "vectors.npy"
    paths = f"{library}:{':'.join(path for path in sys.path if path)}"
    subprocess.run(
        [sys.executable, "-c", BY_THE_LIBRARY, str(folder), json.dumps(texts), str(out)],
        check=True,
        env={"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    model = load_checkpoint(folder, (), KIND)
    ours = vectors_of(model.eval(), folder, texts)
    theirs = np.load(out)
    assert np.abs(ours - theirs).max() < 1e-5
    saved = tmp_path / "vectors.npy.saved"  # how the library itself writes it
    again = load_checkpoint(saved, (), KIND).eval()
    assert np.abs(vectors_of(again, saved, texts) - theirs).max() < 1e-5
    assert load_file(saved / "model.safetensors")

"""A word table in two factors: how close they come, that they reload, and what follows them."""

import json

import pytest
import torch

from pocketbert.compress.config import DistillConfig, PruneConfig, StudentConfig, TrimConfig
from pocketbert.compress.data import load_split
from pocketbert.compress.distill import distill
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import load_checkpoint, load_model, load_tokenizer
from pocketbert.compress.prune import prune
from pocketbert.compress.vocabulary import trim
from pocketbert.compress.word_factors import FactorisedEmbedding, factorise_words, word_rows

LABELS = ("bad", "good")
RANK = 6


@pytest.fixture
def model(tiny_checkpoint):
    torch.manual_seed(3)
    return load_checkpoint(tiny_checkpoint, LABELS).eval()


@pytest.fixture
def counts(model):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 50, (model.config.vocab_size,), generator=generator)


def table_of(model):
    return model.get_input_embeddings()(torch.arange(model.config.vocab_size)).detach()


def test_with_full_rank_no_logit_moves(model, counts):
    ids = torch.tensor([[2, 7, 30, 41, 3]])
    expected = model(input_ids=ids).logits
    factorise_words(model, model.config.hidden_size, counts)
    assert isinstance(model.get_input_embeddings(), FactorisedEmbedding)
    torch.testing.assert_close(model(input_ids=ids).logits, expected, atol=1e-5, rtol=0)


def test_the_error_is_the_tail_of_the_weighted_singular_values(model, counts):
    before = table_of(model).double()
    factorise_words(model, RANK, counts)
    weights = (counts + 1).double()[:, None]
    error = (weights * (table_of(model) - before).square()).sum()
    singular = torch.linalg.svdvals(weights.sqrt() * before)
    torch.testing.assert_close(error, singular[RANK:].square().sum(), rtol=1e-5, atol=0)


def test_frequent_tokens_come_closer_than_by_a_plain_svd(model, tiny_checkpoint):
    counts = torch.zeros(model.config.vocab_size, dtype=torch.long)
    counts[:RANK] = 100_000
    before = table_of(model)
    factorise_words(model, RANK, counts)
    plain = load_checkpoint(tiny_checkpoint, LABELS)
    factorise_words(plain, RANK, torch.zeros_like(counts))
    weighted_error, plain_error = ((table_of(one) - before)[:RANK].norm() for one in (model, plain))
    assert weighted_error < 0.1 * plain_error


def test_the_strongest_direction_does_not_rule_one_column(model, counts):
    # One scale holds all columns in INT8; with singular vectors as they are, the first is largest.
    table = model.get_input_embeddings().weight
    table.data += (
        20 * table.std() * torch.nn.functional.normalize(torch.ones(table.shape[1]), dim=0)
    )
    factorise_words(model, RANK, counts)
    strength = word_rows(model).weight.square().mean(0).sqrt()
    assert strength.max() < 0.9 * strength.norm()


def test_a_rank_above_the_width_is_refused(model, counts):
    with pytest.raises(ModelError, match="embedding_rank is 33, expected at most the 32"):
        factorise_words(model, 33, counts)


@pytest.fixture(scope="module")
def factorised(teacher, outputs, tiny_data, objectives, training, tmp_path_factory):
    """A distilled student with factors, for all that follows."""
    out = tmp_path_factory.mktemp("factorised")
    summary = distill(
        config=DistillConfig(
            student=StudentConfig(layers=2, embedding_rank=RANK), objectives=objectives,
            training=training,
        ),
        seed=0, data=tiny_data, examples=tiny_data, teacher=teacher[0], teacher_outputs=outputs,
        out=out,
    )  # fmt: skip
    return out, summary


def logits(folder, text):
    inputs = load_tokenizer(folder)(text, return_tensors="pt")
    with torch.no_grad():
        return load_model(folder)(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).logits


def test_distillation_recovers_and_the_folder_is_smaller(factorised, student):
    folder, summary = factorised
    assert summary["validation_accuracy"] > 0.9
    words = load_model(folder / "model").get_input_embeddings()
    tokens = words.rows.num_embeddings
    saved = tokens * 32 - RANK * (tokens + 32)
    assert student[1]["parameters"] - summary["parameters"] == saved
    whole, small = (
        (path / "model/model.safetensors").stat().st_size for path in (student[0], folder)
    )
    assert whole - small == pytest.approx(4 * saved, abs=400)  # the header names one tensor more


def test_only_a_factorised_model_says_so(factorised, student):
    said = json.loads((factorised[0] / "model/pocketbert.json").read_text())
    assert said["embedding_rank"] == RANK
    assert "embedding_rank" not in json.loads((student[0] / "model/pocketbert.json").read_text())


def test_pruning_keeps_the_factors(factorised, tiny_data, tmp_path):
    prune(
        config=PruneConfig(neurons=0.5, neuron_multiple=8), seed=0, data=tiny_data,
        examples=tiny_data, student=factorised[0], teacher_outputs=None, out=tmp_path,
    )  # fmt: skip
    before, after = (load_model(path / "model") for path in (factorised[0], tmp_path))
    assert torch.equal(table_of(before), table_of(after))
    assert after.num_parameters() < before.num_parameters()


def test_trimming_takes_rows_and_no_logit_moves(factorised, tiny_data, tmp_path):
    (tmp_path / "sample").mkdir()
    lines = (tiny_data / "train.jsonl").read_text().splitlines()
    kept = [line for line in lines if "superb" not in line]
    (tmp_path / "sample/train.jsonl").write_text("\n".join(kept) + "\n")
    out = tmp_path / "out"
    summary = trim(
        config=TrimConfig(), data=tiny_data, examples=tmp_path / "sample", student=factorised[0],
        out=out,
    )  # fmt: skip
    assert summary["parameters_before"] - summary["parameters"] == RANK
    assert word_rows(load_model(out / "model")).weight.shape == (summary["tokens"], RANK)
    texts = [text for text in load_split(tiny_data, "validation").texts if "superb" not in text]
    for text in texts[:20]:
        found, expected = logits(out / "model", text), logits(factorised[0] / "model", text)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)

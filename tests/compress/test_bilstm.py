"""The BiLSTM student against a formula of its own, and the table it starts from."""

import numpy as np
import pytest
import torch

from pocketbert.compress.bilstm import (
    EMBEDDING_RMS,
    BilstmClassifier,
    BilstmModelConfig,
    leading_components,
)
from pocketbert.compress.config import BilstmConfig, StudentConfig
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_checkpoint,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.student import build_student

LABELS = ("bad", "good")


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(3)
    save_model(
        load_checkpoint(tiny_checkpoint, LABELS),
        load_tokenizer(tiny_checkpoint),
        ModelDescription(LABELS, 32),
        folder,
    )
    return folder


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BilstmModelConfig(vocab_size=50, embedding_size=6, hidden_size=5, num_labels=3)
    return BilstmClassifier(config).eval()


def by_hand(model, ids):
    """One text through the textbook's equations, gate by gate."""
    weights = {name: w.double().numpy() for name, w in model.state_dict().items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def direction(inputs, suffix):
        h = c = np.zeros(model.config.hidden_size)
        states = []
        for x in inputs:
            gates = weights[f"lstm.weight_ih_l0{suffix}"] @ x + weights[f"lstm.bias_ih_l0{suffix}"]
            gates += weights[f"lstm.weight_hh_l0{suffix}"] @ h + weights[f"lstm.bias_hh_l0{suffix}"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states.append(h)
        return np.array(states)

    embedded = weights["embedding.weight"][ids]
    states = np.hstack([direction(embedded, ""), direction(embedded[::-1], "_reverse")[::-1]])
    keys = np.tanh(states @ weights["attention.weight"].T + weights["attention.bias"])
    scores = np.exp(keys @ weights["attention_score.weight"][0])
    text = (scores / scores.sum()) @ states
    dense = np.maximum(weights["dense.weight"] @ text + weights["dense.bias"], 0)
    return weights["classifier.weight"] @ dense + weights["classifier.bias"]


def test_logits_are_those_of_the_equations_whatever_the_padding(model):
    texts = [[7], [3, 9, 9, 1, 40, 22], [5, 6, 7]]
    ids = torch.zeros(3, 9, dtype=torch.long)
    mask = torch.zeros(3, 9, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    with torch.no_grad():
        found = model(ids, mask).logits.numpy()
    expected = np.array([by_hand(model, text) for text in texts])
    assert np.ptp(expected, axis=0).min() > 1e-3  # the texts do differ
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_leading_components_keep_the_distances_that_a_low_rank_table_has():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(40, 4, generator=generator) @ torch.randn(4, 12, generator=generator) + 9
    reduced = leading_components(table, 4)
    assert reduced.square().mean().sqrt().item() == pytest.approx(EMBEDDING_RMS)
    ratio = torch.pdist(reduced) / torch.pdist(table)
    torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-3, atol=0)
    assert torch.pdist(leading_components(table, 1)).sum() < torch.pdist(reduced).sum()


def test_a_student_starts_from_the_initial_models_words(teacher, tiny_checkpoint):
    config = StudentConfig(bilstm=BilstmConfig(embedding_size=8, hidden_size=4))
    student, folder = build_student(config, teacher, LABELS)
    table = load_model(teacher).get_input_embeddings().weight.detach()
    assert folder == teacher
    torch.testing.assert_close(student.embedding.weight.detach(), leading_components(table, 8))
    assert student.config.id2label == {0: "bad", 1: "good"}

    other = StudentConfig(init=str(tiny_checkpoint), bilstm=BilstmConfig(embedding_size=8))
    assert build_student(other, teacher, LABELS)[1] == tiny_checkpoint


def test_fresh_takes_the_vocabulary_alone(teacher):
    config = StudentConfig(init="fresh", bilstm=BilstmConfig(embedding_size=64, hidden_size=4))
    student, _ = build_student(config, teacher, LABELS)
    table = load_model(teacher).get_input_embeddings().weight
    assert student.embedding.weight.shape == (table.shape[0], 64)


def test_an_embedding_wider_than_the_table_is_refused(teacher):
    config = StudentConfig(bilstm=BilstmConfig(embedding_size=33))
    with pytest.raises(ModelError, match=r"embedding_size is 33, expected at most the 32"):
        build_student(config, teacher, LABELS)


def test_it_reloads_with_one_call(model, tiny_checkpoint, tmp_path):
    save_model(model, load_tokenizer(tiny_checkpoint), ModelDescription(LABELS, 32), tmp_path)
    ids, mask = torch.tensor([[2, 7, 3]]), torch.ones(1, 3, dtype=torch.long)
    with torch.no_grad():
        found = load_model(tmp_path)(ids, mask).logits
        torch.testing.assert_close(found, model(ids, mask).logits)
    assert (
        load_tokenizer(tmp_path)("film").input_ids
        == load_tokenizer(tiny_checkpoint)("film").input_ids
    )

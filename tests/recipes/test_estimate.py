import json
from dataclasses import replace

import pytest

from pocketbert.compress.config import (
    BilstmConfig,
    LabelsConfig,
    ObjectivesConfig,
    PruneConfig,
    TrainingConfig,
)
from pocketbert.recipes.estimate import (
    bilstm_size,
    estimate,
    pruned_shape,
    shape_from_config,
    size_of,
)
from pocketbert.recipes.load import load_recipe

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}


@pytest.mark.parametrize("model_type", ["bert", "mpnet", "roberta", "electra", "distilbert"])
def test_parameters_are_those_that_the_model_really_has(model_type):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    names = SMALL
    if model_type == "distilbert":
        names = {"vocab_size": 60, "dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64}
        names["max_position_embeddings"] = 40
    if model_type == "electra":
        names = SMALL | {"embedding_size": 32}
    config = AutoConfig.for_model(model_type, **names, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config)
    real = sum(parameter.numel() for parameter in model.parameters())
    assert size_of(shape_from_config(config.to_dict(), labels=3), 16).parameters == real


@pytest.mark.parametrize(("rank", "width"), [(None, 32), (8, 32), (8, 24)])
def test_macs_are_those_that_torch_counts(rank, width):
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertConfig, BertForSequenceClassification

    from pocketbert.compress.surgery import keep_hidden
    from pocketbert.compress.word_factors import use_factors

    model = BertForSequenceClassification(BertConfig(**SMALL)).eval()
    if rank is not None:
        use_factors(model, rank)
    if width < 32:
        keep_hidden(model, torch.arange(width))
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(1, 24, dtype=torch.long))
    shape = shape_from_config(BertConfig(**SMALL).to_dict(), labels=2)
    size = size_of(replace(shape, embedding_rank=rank, hidden_size=width), length=24)
    assert size.macs == counter.get_total_flops() // 2


@pytest.mark.parametrize(("dropped", "hidden"), [(0, 0.0), (1, 0.0), (0, 0.3)])
def test_pruning_is_what_the_stage_does(tiny_checkpoint, dropped, hidden):
    import torch
    from transformers import AutoModelForSequenceClassification

    from pocketbert.compress.importance import keep_best_blocks
    from pocketbert.compress.surgery import (
        bert_layers,
        keep_heads,
        keep_hidden,
        keep_layers,
        keep_neurons,
    )

    model = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint)
    left = 4 - dropped
    keep_layers(model, tuple(range(left)))
    prune = PruneConfig(
        layers=dropped,
        heads=0.25,
        neurons=0.6,
        neuron_multiple=8,
        hidden=hidden,
        hidden_multiple=4,
        objectives=ObjectivesConfig(labels=LabelsConfig(weight=1.0)),
        training=TrainingConfig(epochs=1, learning_rate=1e-4),
    )
    torch.manual_seed(0)
    ratings = [(torch.rand(4), torch.rand(64)) for _ in range(left)]
    heads = keep_best_blocks([r[0] for r in ratings], (1 - prune.heads) * 4 * left, 1)
    neurons = keep_best_blocks([r[1] for r in ratings], (1 - prune.neurons) * 64 * left, 8)
    for layer, kept_heads, kept_neurons in zip(bert_layers(model), heads, neurons, strict=True):
        keep_heads(layer, kept_heads)
        keep_neurons(layer, kept_neurons)
    if hidden:
        keep_hidden(model, keep_best_blocks([torch.rand(32)], (1 - hidden) * 32, 4)[0])
    config = json.loads((tiny_checkpoint / "config.json").read_text())
    shape = pruned_shape(shape_from_config(config, labels=2), prune)
    real = sum(parameter.numel() for parameter in model.parameters())
    assert size_of(shape, 16).parameters == real


@pytest.mark.parametrize(
    "student",
    [
        "{layers: 2}",
        "{layers: [1, 3], hidden_size: 16}",
        "{layers: 3, intermediate_size: 24}",
        "{layers: 2, embedding_rank: 8}",
        "{bilstm: {embedding_size: 16, hidden_size: 12}}",
    ],
)
def test_the_student_is_what_the_stage_builds(write, here, tiny_checkpoint, student):
    import torch

    from pocketbert.compress.folder import (
        ModelDescription,
        load_checkpoint,
        load_tokenizer,
        save_model,
    )
    from pocketbert.compress.student import build_student
    from pocketbert.compress.word_factors import factorise_words

    recipe = load_recipe(
        write(),
        [
            f"teacher.model={tiny_checkpoint}",
            "distill.student=null",
            f"distill.student={student}",
            "distill.objectives.hidden=null",
            "prune=null",
        ],
    )
    teacher = here / "teacher"
    save_model(
        load_checkpoint(tiny_checkpoint, recipe.task.labels),
        load_tokenizer(tiny_checkpoint),
        ModelDescription(recipe.task.labels, 32),
        teacher,
    )
    model, _ = build_student(recipe.distill.student, teacher, recipe.task.labels)
    rank = recipe.distill.student.embedding_rank
    if rank is not None:
        factorise_words(model, rank, torch.ones(model.config.vocab_size))
    sizes = estimate(recipe)
    assert list(sizes) == ["teacher", "student"]
    assert sizes["student"].parameters == sum(p.numel() for p in model.parameters())


def test_macs_of_a_bilstm_are_its_weights_once_a_token():
    from pocketbert.compress.bilstm import BilstmClassifier, BilstmModelConfig

    widths = {"embedding_size": 16, "hidden_size": 12}
    model = BilstmClassifier(BilstmModelConfig(vocab_size=60, num_labels=3, **widths))
    matrices = {name: w.numel() for name, w in model.named_parameters() if w.dim() == 2}
    del matrices["embedding.weight"]
    once = matrices.pop("dense.weight") + matrices.pop("classifier.weight")
    weighted_sum = 2 * 12
    size = bilstm_size(BilstmConfig(**widths), shape_from_config(SMALL, labels=3), length=24)
    assert size.macs == 24 * (sum(matrices.values()) + weighted_sum) + once


def test_what_is_not_here_is_unknown_and_not_fetched(write, monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETBERT_CACHE", str(tmp_path))
    sizes = estimate(load_recipe("quickstart"))
    assert sizes == {"teacher": None, "student": None, "pruned": None}
    assert list(tmp_path.iterdir()) == []


def test_widths_that_a_latency_table_decides_on_are_unknown(write, here, tiny_checkpoint):
    changes = ["prune.heads=0", "prune.neurons=0", "prune.speedup=2.0"]
    sizes = estimate(load_recipe(write(), [f"teacher.model={tiny_checkpoint}", *changes]))
    assert sizes["pruned"] is None
    assert sizes["student"] is not None


def test_a_longer_text_costs_more_and_int8_is_smaller(write, here, tiny_checkpoint):
    recipe = load_recipe(write(), [f"teacher.model={tiny_checkpoint}", "prune.neuron_multiple=8"])
    short, long = estimate(recipe, 16), estimate(recipe)
    assert long["pruned"].length == recipe.task.max_length
    assert short["pruned"].macs < long["pruned"].macs < long["teacher"].macs
    assert (
        long["teacher"].int8_bytes
        < long["teacher"].float32_bytes
        == (4 * long["teacher"].parameters)
    )

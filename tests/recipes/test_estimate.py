import json
import random
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


GENERAL = (
    "general={texts: [{source: plain.txt, format: text}], student: {layers: 3, hidden_size: 16}, "
    "objectives: {hidden: {weight: 1}, embeddings: {weight: 1}, relations: {weight: 1, heads: 4}}, "
    "training: {epochs: 1, learning_rate: 1e-4}}"
)


@pytest.fixture
def general_recipe(write, here, tiny_checkpoint, vocabulary):
    """A recipe with 400 plain texts of short words."""
    words = [word for word in vocabulary if 3 <= len(word) <= 5 and word.isalpha()]
    draw = random.Random(0)
    lines = [" ".join(draw.choices(words, k=18)) for _ in range(400)]
    (here / "plain.txt").write_text("\n".join(lines) + "\n")
    changes = ["distill.student.init=general", "distill.student.layers=2", GENERAL, "prune=null"]
    return write(), [f"teacher.model={tiny_checkpoint}", *changes]


def test_a_student_from_plain_text_is_cut_from_that_one(general_recipe):
    recipe = load_recipe(general_recipe[0], general_recipe[1])
    student = estimate(recipe)["student"]
    direct = "distill.student={init: teacher, layers: 2, hidden_size: 16}"
    alone = load_recipe(general_recipe[0], [*general_recipe[1], direct, "general=null"])
    assert student == estimate(alone)["student"]


def test_states_on_plain_text_take_the_disk_that_was_said(
    general_recipe, tiny_data, tmp_path, here
):
    from pocketbert.compress.general import keep_untuned_teacher
    from pocketbert.compress.general_texts import gather_texts
    from pocketbert.compress.teacher_outputs import compute_teacher_outputs, load_teacher_outputs
    from pocketbert.recipes.pipeline import general_outputs_wanted
    from pocketbert.recipes.states_size import states_size

    recipe = load_recipe(general_recipe[0], general_recipe[1])
    said = states_size(recipe, recipe.general)
    texts, teacher, out = (tmp_path / name for name in ("texts", "teacher", "out"))
    for folder in (texts, teacher, out):
        folder.mkdir()
    gather_texts(texts=recipe.general.texts, validation=0.1, data=tiny_data, out=texts)
    keep_untuned_teacher(model=recipe.teacher.model, seed=0, texts=texts, out=teacher, cut=True)
    compute_teacher_outputs(
        data=texts, examples=texts, teacher=teacher, out=out,
        wanted=general_outputs_wanted(recipe.general),
    )  # fmt: skip
    kept = load_teacher_outputs(out)
    states = [*kept.states.values(), *kept.validation_states.values()]
    real = sum(each.rows.nbytes for each in states)
    positions = sum(
        len(kept[next(iter(kept))].rows) for kept in (kept.states, kept.validation_states)
    )
    assert said.position_bytes * positions == real
    assert said.bytes == pytest.approx(real, rel=0.35)


def test_of_hidden_tokens_a_share_of_one_state_is_counted(general_recipe):
    from pocketbert.recipes.states_size import states_size

    path, changes = general_recipe
    every = states_size((recipe := load_recipe(path, changes)), recipe.general)
    changes += ["general.objectives=null", "general.objectives.masked_tokens={weight: 1}"]
    changes += ["general.objectives.masked_tokens.fraction=0.25"]
    hidden = states_size((recipe := load_recipe(path, changes)), recipe.general)
    assert hidden.position_bytes == 2 * 32 / 4
    assert hidden.positions == every.positions


def test_states_of_drawn_texts_are_no_more_than_those_may_have(general_recipe):
    from pocketbert.recipes.states_size import states_size

    path, changes = general_recipe
    every = states_size((recipe := load_recipe(path, changes)), recipe.general)
    drawn = "{source: plain.txt, format: text, max_texts: 2}"
    few = load_recipe(path, [*changes, f"general.texts=[{drawn}]"])
    positions = states_size(few, few.general).positions
    assert positions == min(every.positions, 2 * few.task.max_length) < every.positions


def test_states_of_texts_that_are_not_here_are_not_guessed(general_recipe, here):
    from pocketbert.recipes.states_size import states_size

    (here / "plain.txt").unlink()
    recipe = load_recipe(general_recipe[0], general_recipe[1])
    assert states_size(recipe, recipe.general).bytes is None
    elsewhere = load_recipe(general_recipe[0], [*general_recipe[1], "teacher.model=hf:not/here"])
    assert states_size(elsewhere, elsewhere.general) is None


def test_layers_that_a_teacher_lacks_are_said_before_it_runs(general_recipe):
    from pocketbert.compress.errors import ModelError
    from pocketbert.recipes.states_size import states_size

    layers = "general.objectives.hidden.layers=[0, 1, 9]"
    recipe = load_recipe(general_recipe[0], [*general_recipe[1], layers])
    with pytest.raises(ModelError, match="names teacher layer 9, expected layers 0 to 3"):
        states_size(recipe, recipe.general)


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

"""Mistakes planted in a recipe, and exactly what is said about each."""

import dataclasses
import random
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from pocketbert.compress.errors import RecipeError
from pocketbert.recipes.load import CatalogueEntry, load_recipe
from pocketbert.recipes.schema import Recipe

from .conftest import RECIPE
from .planted_mistakes import GENERAL, PLANTED, PLANTED_BESIDE_AN_LSTM, PLANTED_IN_GENERAL


@pytest.mark.parametrize("mistake", PLANTED_IN_GENERAL)
def test_says_what_learning_on_plain_text_cannot_have(mistake, write, here):
    path = write(("    init: teacher", "    init: general"), ("quantize:\n", GENERAL))
    old, new, message = PLANTED_IN_GENERAL[mistake]
    assert load_recipe(path).general is not None
    text = (here / path).read_text()
    assert text.count(old) == 1
    (here / path).write_text(text.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.problems[0] == message
    # Without its BiLSTM the student has no form at all, which is said too.
    assert len(caught.value.problems) == (2 if mistake == "a BiLSTM" else 1)


def test_a_start_that_nothing_makes_is_refused(write):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(("    init: teacher", "    init: general")))
    assert caught.value.problems == [
        "small.yaml:20: distill.student.init is 'general', expected a section general that makes "
        "this checkpoint (or 'teacher', 'fresh' or a source)"
    ]


@pytest.mark.parametrize("mistake", PLANTED)
def test_says_what_is_wrong(mistake, write):
    old, new, message = PLANTED[mistake]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write((old, new)))
    assert caught.value.problems[0] == message
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("kind", ["text-retrieval", "masked-language-model"])
def test_a_rate_is_refused_where_there_is_no_new_head(kind, write):
    rate = (
        "  model: hf:bert-base-uncased",
        "  model: hf:bert-base-uncased\n  head_learning_rate: 1e-3",
    )
    plain = ("  kind: text-classification\n  labels: [negative, positive]\n", f"  kind: {kind}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(rate, plain))
    assert (
        "small.yaml:14: teacher.head_learning_rate is 0.001, expected none (null) where task.kind "
        f"is {kind!r}, whose teacher gets no new head"
    ) in caught.value.problems


def test_sections_behind_the_teacher_are_refused_where_a_task_ends_with_it(write):
    kind = ("  kind: text-classification\n  labels: [negative, positive]\n", f"  kind: {PLAIN}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(kind))
    assert caught.value.problems == [
        f"small.yaml:{line}: {section} is a section, expected none (null) where task.kind is "
        "'masked-language-model', whose recipes end with the teacher so far"
        for section, line in (
            ("distill", 17), ("prune", 27), ("quantize", 35), ("compile", 37), ("evaluate", 39)
        )
    ]  # fmt: skip
    without = ["distill=null", "prune=null", "quantize=null", "compile=null", "evaluate=null"]
    assert load_recipe(write(kind), without).task.labels == ()
    threshold = "data.label_threshold=0.0"
    with pytest.raises(RecipeError, match=r"because task\.labels has 0 entries, not two"):
        load_recipe(write(kind), [*without, threshold])


PLAIN = "masked-language-model"


@pytest.mark.parametrize("mistake", PLANTED_BESIDE_AN_LSTM)
def test_says_what_an_lstm_cannot_have(mistake, write):
    student, overrides, message = PLANTED_BESIDE_AN_LSTM[mistake]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(("    layers: 3", student)), overrides)
    assert caught.value.problems == [message]


def test_further_teachers_that_nothing_learns_from_are_refused(write):
    further = "further_teachers=[{model: hf:a/b, training: {epochs: 1, learning_rate: 1e-4}}]"
    assert len(load_recipe(write(), [further]).further_teachers) == 1
    for override in ("distill=null", "distill.objectives.soft_targets=null"):
        with pytest.raises(RecipeError) as caught:
            load_recipe(write(), [further, override])
        assert str(caught.value).endswith(
            "further_teachers has 1 entries, expected none without an objective soft_targets or "
            "logits in distill, prune, sparsify or qat, which learn from their mean"
        )


def test_widths_that_do_not_fall_into_fours_are_refused(write):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(), ["prune.neuron_multiple=2", "sparsify={pattern: '2:4'}"])
    assert str(caught.value).endswith(
        "prune.neuron_multiple is 2, expected a multiple of 4 because sparsify.pattern is 2:4"
    )

    hidden = ["prune.hidden=0.25", "prune.hidden_multiple=6", "sparsify={pattern: '2:4'}"]
    assert load_recipe(write(), hidden[1:]).prune.hidden == 0  # a multiple that nothing lands on
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(), hidden)
    assert str(caught.value).endswith(
        "prune.hidden_multiple is 6, expected a multiple of 4 because sparsify.pattern is 2:4"
    )


def test_weights_of_8_bits_are_refused_for_a_processor_whose_products_saturate(write):
    training = "{epochs: 1, learning_rate: 1e-4}"
    qat = f"qat={{weight_bits: 8, objectives: {{logits: {{weight: 1}}}}, training: {training}}}"
    assert load_recipe(write(), [qat, "compile.isa=x86_64_vnni"]).qat is not None
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(), [qat, "compile.isa=x86_64"])
    assert str(caught.value).endswith(
        "qat.weight_bits is 8, expected 7 because compile.isa is x86_64, whose products of 8 bits "
        "saturate without VNNI"
    )


def test_at_least_25_mistakes_are_planted():
    assert len(PLANTED) >= 25


def test_the_recipe_that_mistakes_are_planted_in_is_valid(write):
    assert load_recipe(write()).seed == 3


def test_says_everything_at_once_in_the_order_of_the_file(write):
    path = write(
        ("seed: 3", "seed: x"),
        ("labels: [negative, positive]", "labels: [negative]"),
        ("    epochs: 2", "    epoch: 0"),
        ("learning_rate: 1e-4", "learning_rate: 7"),
        ("    epochs: 3", "    epochs: 0"),
        ("  heads: 0.25", "  heads: 25"),
        ("  neurons: 0.5", "  neurons: 50\n  neuron_multiple: 0"),
        ("name: small", "name: a/b"),
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    said = [problem.split(" is ")[0].split(": unknown")[0] for problem in caught.value.problems]
    assert said == [
        "small.yaml:1: name",
        "small.yaml:3: seed",
        "small.yaml:6: task.labels has 1 entries, expected two or more",
        "small.yaml:16: teacher.training.epoch",
        "small.yaml:16: teacher.training.epochs",
        "small.yaml:26: distill.training.epochs",
        "small.yaml:27: distill.training.learning_rate",
        "small.yaml:29: prune.heads",
        "small.yaml:30: prune.neurons",
        "small.yaml:31: prune.neuron_multiple",
    ]


def test_any_damage_is_a_recipe_error_or_still_valid(here):
    """Whatever stands where, no exception but RecipeError comes out, and it says something."""
    draw = random.Random(0)
    values = [None, True, -1, 0.5, "x", "", [], {}, [{}], {"a": 1}, [None], "pypi:x", 10**30]
    outcomes = set()
    for _ in range(100):
        recipe = yaml.safe_load(RECIPE.replace("e-", ".0e-"))
        for _ in range(draw.choice([1, 1, 2, 5])):
            _damage(recipe, draw, draw.choice(values))
        (here / "damaged.yaml").write_text(yaml.safe_dump(recipe))
        try:
            load_recipe("damaged.yaml")
            outcomes.add("valid")
        except RecipeError as error:
            outcomes |= {line.partition(":")[0] for line in error.problems} or {"silent"}
    assert outcomes == {"valid", "damaged.yaml"}


def _damage(section: Any, draw: random.Random, value: Any) -> None:
    if not isinstance(section, dict) or not section:
        return
    key = draw.choice(list(section))
    if draw.random() < 0.6 and isinstance(section[key], dict):
        _damage(section[key], draw, value)
    elif draw.random() < 0.3:
        section[key[:-1]] = section.pop(key)
    else:
        section[key] = value


def test_every_config_refuses_unknown_keys():
    seen = set()

    def visit(kind: Any) -> None:
        for inner in get_args(kind):
            visit(inner)
        if dataclasses.is_dataclass(kind) and kind not in seen:
            seen.add(kind)
            for hint in get_type_hints(kind).values():
                visit(hint)

    visit(Recipe)
    visit(CatalogueEntry)
    assert len(seen) > 15
    lax = [kind for kind in seen if kind.__pydantic_config__.get("extra") != "forbid"]
    assert lax == []
    assert [kind for kind in seen if not kind.__dataclass_params__.frozen] == []

import re

import pytest
import yaml

from pocketbert.compress.config import PackageSource
from pocketbert.compress.errors import RecipeError
from pocketbert.recipes.load import SHIPPED, load_recipe, shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_are_named_like_their_file(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert (recipe.quantize is not None) == recipe.to_engine
    header = (SHIPPED / f"{name}.yaml").read_text().split("\n\n")[0]
    # A figure carries its date; a recipe that nobody ran says so.
    measured = r"# Measured result( \(20\d\d-\d\d-\d\d, .*|: none.*)"
    for line in ("# Aim:.*", "# Cost:.*", "# Data:.*", measured):
        assert re.search(f"^{line}$", header, re.MULTILINE), line


def test_the_numbers_of_yaml_are_those_of_yaml_1_2(write):
    recipe = load_recipe(write(("learning_rate: 1e-4", "learning_rate: 1E-4")))
    assert recipe.teacher.training.learning_rate == 5e-5
    assert recipe.distill.training.learning_rate == 1e-4


def test_no_and_yes_are_labels_not_truths(write):
    recipe = load_recipe(write(("[negative, positive]", "[no, yes]")))
    assert recipe.task.labels == ("no", "yes")


def test_a_child_states_only_its_difference(write, here):
    write()
    (here / "child.yaml").write_text(
        "extends: ./small.yaml\nprune: null\ntask: {labels: [a, b, c]}\n"
        "distill: {student: {layers: [0, 2]}}\n"
    )
    parent, child = load_recipe("small.yaml"), load_recipe("child.yaml")
    assert child.name == "child"  # a name is not inherited: results would be overwritten
    assert child.prune is None
    assert child.task.labels == ("a", "b", "c")
    assert child.task.max_length == parent.task.max_length
    assert child.distill.student.layers == (0, 2)
    assert child.distill.training == parent.distill.training


def test_a_grandchild_may_extend_a_shipped_recipe_through_a_file_elsewhere(here):
    (here / "inner").mkdir()
    (here / "inner/parent.yaml").write_text("extends: quickstart\nseed: 5\n")
    (here / "child.yaml").write_text("extends: inner/parent.yaml\nabout: mine\n")
    child = load_recipe("child.yaml")
    assert (child.seed, child.about, child.prune.heads) == (
        5,
        "mine",
        load_recipe("quickstart").prune.heads,
    )


def test_a_mistake_is_placed_in_the_file_that_made_it(write, here):
    write(("  heads: 0.25", "  heads: 25"))
    (here / "child.yaml").write_text("extends: ./small.yaml\nseed: x\nprune: {neurons: 5}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("child.yaml")
    assert [problem.split(" is ")[0] for problem in caught.value.problems] == [
        "child.yaml:2: seed",
        "child.yaml:3: prune.neurons",
        "small.yaml:29: prune.heads",
    ]


def test_a_circle_is_refused(here):
    (here / "a.yaml").write_text("extends: ./b.yaml\n")
    (here / "b.yaml").write_text("extends: ./a.yaml\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("a.yaml")
    assert caught.value.problems == [
        "a.yaml: extends itself, expected no circle (a.yaml -> b.yaml -> a.yaml)"
    ]


def test_overrides_win_in_their_order(write):
    recipe = load_recipe(
        write(),
        ["seed=1", "seed=2", "distill.student.layers=[0,3]", "prune=null", "about=it = fine"],
    )
    assert (recipe.seed, recipe.prune, recipe.about) == (2, None, "it = fine")
    assert recipe.distill.student.layers == (0, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "distill.student.layer=3",
            "--set distill.student.layer=3: distill.student.layer: unknown key, expected one of "
            "init, layers, hidden_size, intermediate_size, embedding_rank, bilstm, "
            "decoder_layers; did you mean 'layers'?",
        ),
        ("seed", "--set seed: no value, expected --set section.key=value"),
        ("seed=many", "--set seed=many: seed is 'many', expected an integer"),
        ("name.first=x", "--set name.first=x: name is a section, expected a text"),
        (
            "task.labels=[a",
            "--set task.labels=[a: expected ',' or ']', but got '<stream end>', expected valid "
            "YAML",
        ),
    ],
)
def test_a_wrong_override_is_named(write, override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(), [override])
    assert caught.value.problems == [message]


def test_a_catalogue_beside_the_recipe_adds_sources(write, here):
    (here / "sources.yaml").write_text(
        yaml.safe_dump(
            {
                "our-reviews": {
                    "about": "reviews",
                    "licence": "ours",
                    "files": [{"package": "r==1", "file": "r.whl", "sha256": "0" * 64}],
                    "inside": "r.csv",
                }
            }
        )
    )
    recipe = load_recipe(
        write(("train: reviews.csv", "train: pypi:our-reviews")),
        ["teacher.model=pypi:all-MiniLM-L6-v2"],
    )
    assert isinstance(recipe.data.train, PackageSource)
    assert recipe.data.train.inside == "r.csv"
    assert isinstance(recipe.teacher.model, PackageSource)


def test_a_wrong_catalogue_is_named(write, here):
    (here / "sources.yaml").write_text("ours: {about: x, licence: y, files: [], insid: r.csv}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write())
    assert caught.value.problems == [
        "sources.yaml:1: ours.insid: unknown key, expected one of about, licence, files, inside; "
        "did you mean 'inside'?"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "r.yaml:1: found no keys, expected a YAML mapping of `key: value`"),
        (b"name: \xff\n", "r.yaml: byte 6 is not UTF-8, expected UTF-8"),
        (b"a: 1\n---\nb: 2\n", "r.yaml:2:1: but found another document, expected valid YAML"),
        (
            b"a: \x00\n",
            "r.yaml: unacceptable character #x0000: special characters are not allowed, "
            "expected valid YAML",
        ),
    ],
)
def test_a_file_that_is_no_recipe_is_named(here, content, message):
    (here / "r.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe("r.yaml")
    assert caught.value.problems == [message]


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(RecipeError, match=r"^gone.yaml: no such file, expected a recipe's YAML"):
        load_recipe("gone.yaml")

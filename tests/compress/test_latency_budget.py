import itertools
import json

import numpy as np
import pytest
import torch

from pocketbert.compress.errors import ModelError
from pocketbert.compress.latency_budget import (
    best_under_budget,
    check_speedup,
    keep_within_budget,
)
from pocketbert.compress.latency_table import (
    LatencyCurve,
    LatencyTable,
    load_latency_table,
    save_latency_table,
)

TABLE = LatencyTable(
    hidden_size=32,
    head_size=8,
    tokens=16,
    threads=1,
    precision="float32",
    machine="none",
    attention=LatencyCurve((0, 1, 2, 4), (0.1, 1.0, 1.5, 3.0)),
    feed_forward=LatencyCurve((0, 8, 16), (0.1, 1.0, 2.0)),
    last_attention=LatencyCurve((0, 1, 2, 4), (0.1, 0.5, 0.8, 1.5)),
    last_feed_forward=LatencyCurve((0, 8, 16), (0.1, 0.2, 0.3)),
)
FULL = [{"heads": 4, "neurons": 16}] * 2


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_that_of_trying_everything(seed):
    draw = np.random.default_rng(seed)
    values = [draw.random(4) for _ in range(5)]
    costs = [draw.integers(1, 100, 4) / 10 for _ in range(5)]  # whole bins of a budget of 25
    chosen = best_under_budget(values, costs, budget=25.0)
    best = max(
        (
            options
            for options in itertools.product(range(4), repeat=5)
            if sum(c[o] for c, o in zip(costs, options, strict=True)) <= 25.0 + 1e-9
        ),
        key=lambda options: sum(v[o] for v, o in zip(values, options, strict=True)),
    )
    assert tuple(chosen) == best


def test_what_cannot_fit_is_refused():
    with pytest.raises(ValueError, match="the cheapest options cost more than 1"):
        best_under_budget([np.ones(2)] * 2, [np.array([0.6, 0.7])] * 2, budget=1.0)


@pytest.mark.parametrize("budget_ms", [9.9, 5.0, 2.0, 0.5])
def test_the_kept_units_fit_the_budget_and_are_the_best_of_their_layer(budget_ms):
    torch.manual_seed(0)
    head_scores = [torch.rand(4) for _ in range(2)]
    neuron_scores = [torch.rand(16) for _ in range(2)]
    heads, neurons = keep_within_budget(head_scores, neuron_scores, TABLE, 8, budget_ms)
    widths = [{"heads": len(h), "neurons": len(n)} for h, n in zip(heads, neurons, strict=True)]
    assert TABLE.encoder_ms(widths) <= budget_ms
    for scores, kept in zip(head_scores + neuron_scores, heads + neurons, strict=True):
        assert kept.tolist() == sorted(scores.topk(len(kept)).indices.tolist())
    assert all(len(kept) % 8 == 0 for kept in neurons)


def test_a_worthless_sub_layer_vanishes_before_a_precious_unit():
    heads, neurons = keep_within_budget(
        [torch.ones(4), torch.full((4,), 1e-6)], [torch.ones(16)] * 2, TABLE, 8, budget_ms=5.5
    )
    assert [len(kept) for kept in heads] == [4, 0]
    assert [len(kept) for kept in neurons] == [16, 16]


def test_a_width_between_measured_ones_lies_on_the_line():
    assert TABLE.attention.at(3) == pytest.approx(2.25)


def test_a_width_beyond_the_table_is_refused():
    with pytest.raises(ModelError, match="ends at 16 heads or neurons, expected 32"):
        TABLE.feed_forward.at(32)


def test_the_most_that_can_be_reached_is_said():
    check_speedup(16, TABLE, FULL)
    with pytest.raises(ModelError, match=r"prune.speedup is 20, expected at most 16\.99, which"):
        check_speedup(20, TABLE, FULL)


def test_the_last_layer_is_cheap_and_stays_whole():
    """At equal importance, what answers for one position only is the last to go."""
    _, neurons = keep_within_budget(
        [torch.full((4,), 100.0)] * 2, [torch.ones(16)] * 2, TABLE, 8, budget_ms=6.0
    )
    assert [len(kept) for kept in neurons] == [8, 16]


def test_a_table_survives_its_file(tmp_path):
    save_latency_table(TABLE, tmp_path / "table.json")
    assert load_latency_table(tmp_path / "table.json", 32, 8) == TABLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 64}, "measured for hidden size 64 and head size 8, expected 32 and 8"),
        ({"attention": {"widths": [1, 2], "ms": [1, 2]}}, "expected widths rising from 0"),
        ({"attention": {"widths": [0, 2], "ms": [0, 2]}}, "a time above 0"),
        ({"attention": 3}, "is no latency table"),
        ({"surprise": 3}, "is no latency table"),
    ],
)
def test_another_table_is_refused(tmp_path, change, said):
    save_latency_table(TABLE, tmp_path / "table.json")
    found = json.loads((tmp_path / "table.json").read_text()) | change
    (tmp_path / "table.json").write_text(json.dumps(found))
    with pytest.raises(ModelError, match=said):
        load_latency_table(tmp_path / "table.json", 32, 8)

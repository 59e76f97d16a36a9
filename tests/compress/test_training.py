"""The training loop itself, and the teacher, which is nothing else."""

import pytest
import torch

from pocketbert.compress.batches import tokenize
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    load_tokenizer,
)


def test_teacher_learns_and_cleans_up(teacher):
    out, summary = teacher
    assert summary["validation_accuracy"] > 0.9
    assert summary["validation_interval"][0] < summary["validation_accuracy"]
    assert [path.name for path in out.iterdir()] == ["model"]


@pytest.mark.parametrize(("asked", "share"), [(None, 0.1), (0.0, 0.0), (0.3, 0.3)])
def test_dropout_is_the_models_own_unless_asked(
    asked, share, tiny_checkpoint, tiny_data, tmp_path, training
):
    from dataclasses import replace

    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "validation"), tokenizer, 32)
    fit(
        model, examples, examples, tokenizer, replace(training, epochs=1, dropout=asked), seed=0,
        folder=tmp_path, title="Fit",
    )  # fmt: skip
    dropouts = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(dropouts) > 8
    assert set(dropouts) == {share}


def test_parameters_may_have_a_rate_of_their_own(tiny_checkpoint, tiny_data, tmp_path, training):
    from dataclasses import replace

    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import OwnRate, fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "validation"), tokenizer, 32)
    slow, fast, usual = model.classifier.bias, model.classifier.weight, model.bert.pooler.dense.bias
    before = [parameter.detach().clone() for parameter in (slow, fast, usual)]
    fit(
        model, examples, examples, tokenizer, replace(training, epochs=1), seed=0,
        folder=tmp_path, title="Fit", own_rates=[OwnRate([slow], 1e-6), OwnRate([fast], 1.0)],
    )  # fmt: skip
    moved = [
        float((parameter.detach() - old).abs().max())
        for parameter, old in zip((slow, fast, usual), before, strict=True)
    ]
    assert 0 < moved[0] < 1e-5 < moved[2] < 0.1 < moved[1]


@pytest.mark.parametrize("freeze", [False, True])
def test_a_word_table_may_stay_as_it_is(freeze, tiny_checkpoint, tiny_data, tmp_path, training):
    from dataclasses import replace

    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    wrapped = torch.nn.Sequential(model)
    wrapped.forward = model.forward  # as the wrappers of a loss or of objectives hold a model
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "validation"), tokenizer, 32)
    words, positions = (
        table.weight
        for table in (model.get_input_embeddings(), model.bert.embeddings.position_embeddings)
    )
    before = [table.detach().clone() for table in (words, positions)]
    fit(
        wrapped, examples, examples, tokenizer, replace(training, epochs=1, freeze_words=freeze),
        seed=0, folder=tmp_path, title="Fit",
    )  # fmt: skip
    assert torch.equal(words, before[0]) == freeze
    assert not torch.equal(positions, before[1])
    assert words.requires_grad


def test_broken_weights_are_not_kept_as_a_checkpoint(
    tiny_checkpoint, tiny_data, tmp_path, training
):
    """A step that ends in numbers that are not finite is found out before it is saved."""
    from transformers import TrainerCallback

    from pocketbert.compress.batches import tokenize
    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = load_checkpoint(tiny_checkpoint, ("bad", "good"))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "train"), tokenizer, 32)

    class Break(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == state.eval_steps:
                model.classifier.weight.data.fill_(float("nan"))

    with pytest.raises(ModelError, match=r"the loss became nan at step \d+"):
        fit(
            model, examples, examples, tokenizer, training, seed=0, folder=tmp_path / "out",
            title="Break", callbacks=[Break()],
        )  # fmt: skip
    assert not list((tmp_path / "out").glob("checkpoint-*"))


class Wrapped(torch.nn.Module):
    """What learns, in a module that transformers does not know, as objectives are."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **batch):
        found = self.model(**batch)
        return {"loss": found.loss, "logits": found.logits}


def test_a_checkpoint_that_lacks_a_tensor_is_not_taken_up(
    tiny_checkpoint, tiny_data, tmp_path, training
):
    from dataclasses import replace

    from safetensors.torch import load_file, save_file

    from pocketbert.compress.folder import load_checkpoint
    from pocketbert.compress.training import fit

    model = Wrapped(load_checkpoint(tiny_checkpoint, ("bad", "good")))
    tokenizer = load_tokenizer(tiny_checkpoint)
    examples = tokenize(load_split(tiny_data, "train"), tokenizer, 32)

    def train(epochs):
        fit(
            model, examples, examples, tokenizer, replace(training, epochs=epochs), seed=0,
            folder=tmp_path / "out", title="Take up",
        )  # fmt: skip

    train(1)
    for weights in (tmp_path / "out").glob("checkpoint-*/model.safetensors"):
        kept = load_file(weights)
        del kept["model.classifier.bias"]
        save_file(kept, weights, {"format": "pt"})
    with pytest.raises(ModelError, match=r"does not fit the model at model\.classifier\.bias"):
        train(2)

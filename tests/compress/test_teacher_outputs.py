"""What the teacher said: its own logits and states, resumable, and no more than is compared."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import MPNetConfig, MPNetForSequenceClassification

from pocketbert.compress.config import (
    AttentionConfig,
    HiddenConfig,
    ObjectivesConfig,
    TeacherConfig,
    outputs_wanted,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.errors import ModelError
from pocketbert.compress.folder import (
    ModelDescription,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.compress.states import position_bias
from pocketbert.compress.teacher import train_teacher
from pocketbert.compress.teacher_outputs import compute_teacher_outputs, load_teacher_outputs


def test_teacher_outputs_are_the_teachers_own(teacher, outputs, tiny_data):
    model, tokenizer = load_model(teacher[0] / "model"), load_tokenizer(teacher[0] / "model")
    kept = load_teacher_outputs(outputs)
    text = load_split(tiny_data, "train").texts[17]
    with torch.no_grad():
        found = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
    np.testing.assert_allclose(kept.logits[17], found.logits[0], atol=1e-4)
    assert sorted(kept.states) == [
        "hidden_-1", "hidden_1", "hidden_3", "key_1", "key_3", "query_1", "query_3", "value_3",
    ]  # fmt: skip
    for layer in (-1, 1, 3):
        torch.testing.assert_close(
            kept.states[f"hidden_{layer}"][17],
            found.hidden_states[layer + 1][0],
            atol=2e-3,
            rtol=0,
        )
    attention = model.bert.encoder.layer[3].attention.self
    with torch.no_grad():
        values = attention.value(found.hidden_states[3][0])
    torch.testing.assert_close(kept.states["value_3"][17], values, atol=2e-3, rtol=0)


def test_teacher_outputs_know_the_validation_split(teacher, outputs, tiny_data):
    kept = load_teacher_outputs(outputs)
    labels = load_split(tiny_data, "validation").labels
    found = (kept.validation_logits.argmax(-1) == labels).mean()
    assert found == pytest.approx(teacher[1]["validation_accuracy"])
    assert not list(outputs.rglob("batches_done*"))


def test_first_states_only_need_little(teacher, tiny_data, tmp_path):
    hidden = HiddenConfig(weight=1, layers="last", positions="first")
    wanted = outputs_wanted([ObjectivesConfig(hidden=hidden)], student_layers=2)
    compute_teacher_outputs(
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=wanted, out=tmp_path
    )
    kept = load_teacher_outputs(tmp_path)
    assert list(kept.states) == ["hidden_3"]
    assert kept.states["hidden_3"].rows.shape == (len(kept.logits), 32)


def test_an_mpnet_teachers_position_bias_is_kept(teacher, tiny_data, tmp_path):
    tokenizer = load_tokenizer(teacher[0] / "model")
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40,
    )  # fmt: skip
    model = MPNetForSequenceClassification(config)
    description = ModelDescription(("bad", "good"), 32)
    save_model(model, tokenizer, description, tmp_path / "mpnet/model")
    wanted = outputs_wanted([ObjectivesConfig(attention=AttentionConfig(weight=1))], 2)
    (tmp_path / "out").mkdir()
    compute_teacher_outputs(
        data=tiny_data,
        examples=tiny_data,
        teacher=tmp_path / "mpnet",
        wanted=wanted,
        out=tmp_path / "out",
    )
    kept = load_teacher_outputs(tmp_path / "out")
    assert sorted(kept.states) == ["key_0", "key_1", "query_0", "query_1"]
    assert kept.position_bias.shape == (4, 32, 32)
    torch.testing.assert_close(kept.position_bias, position_bias(model, 32))


def test_layers_that_the_teacher_lacks_are_refused_before_it_runs(teacher, tiny_data, tmp_path):
    hidden = HiddenConfig(weight=1, layers=(1, 4))
    wanted = outputs_wanted([ObjectivesConfig(hidden=hidden)], student_layers=2)
    with pytest.raises(ModelError, match="names teacher layer 4, expected layers 0 to 3"):
        compute_teacher_outputs(
            data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=wanted, out=tmp_path
        )
    assert list(tmp_path.iterdir()) == []


def test_interrupted_teacher_outputs_go_on(teacher, outputs, tiny_data, tmp_path, wanted):
    shutil.copytree(outputs, tmp_path / "out")
    logits = np.load(tmp_path / "out/train/logits.npy", mmap_mode="r+")
    values = np.load(tmp_path / "out/train/value_3.npy", mmap_mode="r+")
    whole = logits.copy(), values.copy()
    logits[:] = values[:] = -99
    logits.flush()
    values.flush()
    (tmp_path / "out/train/batches_done.json").write_text("2")
    compute_teacher_outputs(
        data=tiny_data, examples=tiny_data, teacher=teacher[0], wanted=wanted, out=tmp_path / "out"
    )
    redone = np.load(tmp_path / "out/train/logits.npy"), np.load(tmp_path / "out/train/value_3.npy")
    skipped = (redone[0] == -99).all(axis=1)
    assert skipped.sum() == 64  # the two batches that were already done are not run again
    # Sums are rounded as threads share them; another text's row differs by more.
    np.testing.assert_allclose(redone[0][~skipped], whole[0][~skipped], atol=1e-6)
    again = (redone[1] != -99).all(axis=1)
    assert 0 < again.sum() < len(again)
    np.testing.assert_allclose(redone[1][again], whole[1][again], atol=2e-3)


@pytest.fixture(scope="module")
def further(tiny_checkpoint, tiny_data, training, tmp_path_factory):
    """Two more teachers of other seeds, one of which cuts the texts into other tokens."""
    folders = []
    for seed in (1, 2):
        checkpoint = shutil.copytree(tiny_checkpoint, tmp_path_factory.mktemp("c") / "model")
        if seed == 2:
            path = checkpoint / "tokenizer.json"
            contents = json.loads(path.read_text())
            del contents["model"]["vocab"]["film"]
            path.write_text(json.dumps(contents))
        out = tmp_path_factory.mktemp("further")
        config = TeacherConfig(model=str(checkpoint), training=training)
        train_teacher(config=config, seed=seed, data=tiny_data, out=out)
        folders.append(out)
    return folders


def test_logits_of_all_teachers_are_averaged_and_states_are_the_firsts(
    teacher, further, outputs, wanted, tiny_data, tmp_path
):
    summary = compute_teacher_outputs(
        data=tiny_data,
        examples=tiny_data,
        teacher=teacher[0],
        wanted=wanted,
        out=tmp_path,
        further_teachers=further,
    )
    kept, alone = load_teacher_outputs(tmp_path), load_teacher_outputs(outputs)
    for split, found in (("train", kept.logits), ("validation", kept.validation_logits)):
        text = load_split(tiny_data, split).texts[17]
        said = []
        for folder in (teacher[0], *further):
            model, tokenizer = load_model(folder / "model"), load_tokenizer(folder / "model")
            with torch.no_grad():
                said.append(model(**tokenizer(text, return_tensors="pt")).logits[0].numpy())
        np.testing.assert_allclose(found[17], np.mean(said, axis=0), atol=1e-4)
        assert np.abs(said[0] - found[17]).max() > 1e-2  # the teachers do differ
    assert list(kept.states) == list(alone.states)
    for name in kept.states:
        np.testing.assert_allclose(kept.states[name].rows, alone.states[name].rows, atol=2e-3)
    assert summary["teachers"] == 3
    labels = load_split(tiny_data, "validation").labels
    assert summary["validation_accuracy"] == (kept.validation_logits.argmax(-1) == labels).mean()
    assert not list(tmp_path.rglob("batches_done*"))


def test_interrupted_between_teachers_the_finished_ones_are_not_asked_again(
    teacher, further, wanted, tiny_data, tmp_path
):
    def run():
        return compute_teacher_outputs(
            data=tiny_data,
            examples=tiny_data,
            teacher=teacher[0],
            wanted=wanted,
            out=tmp_path,
            further_teachers=further,
        )

    run()
    whole = load_teacher_outputs(tmp_path).logits.copy()
    second = tmp_path / "further_teachers/2"
    shutil.rmtree(second)
    own = np.load(tmp_path / "train/logits.npy", mmap_mode="r+")
    own += 3  # would be put right if the first teacher ran again
    own.flush()
    for folder in (tmp_path, tmp_path / "further_teachers/1"):
        for split in ("train", "validation"):
            (folder / split / "batches_done.json").write_text("100000")
    run()
    again = load_teacher_outputs(tmp_path).logits
    np.testing.assert_allclose(again, whole + 1, atol=1e-5)

"""Entities in Chinese, from tagged words to answers, with a tokenizer that cuts at spaces only."""

from dataclasses import asdict, replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pocketbert.compress.config import (
    ColumnsConfig,
    DataConfig,
    TaskConfig,
    TeacherConfig,
    TrimConfig,
)
from pocketbert.compress.data import load_description, load_split, prepare_data
from pocketbert.compress.teacher import train_teacher
from pocketbert.compress.vocabulary import trim
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.score import Table, measure_table, score

from .conftest import LEARNT
from .peers import PEERS, Asked, agreement

PEOPLE = ["王明", "李华", "张伟", "刘洋"]
PLACES = ["北京", "上海", "广州", "南京"]
WORDS = ["今天", "昨天", "看到", "去了", "我们"]
TASK = TaskConfig(
    kind="token-classification", labels=("nr", "ns"), max_length=24, split_chinese=True
)


@pytest.fixture
def checkpoint(tmp_path):
    words = [*PEOPLE, *PLACES, *WORDS]
    characters = sorted({letter for word in words for letter in word})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "。", *characters, *words, "▁今天", "never"]
    vocabulary = [(piece, -20.0 + 3 * len(piece)) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=32, pad_token_id=1,
        )
    )  # fmt: skip
    model.save_pretrained(tmp_path / "checkpoint")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
    ).save_pretrained(tmp_path / "checkpoint")  # fmt: skip
    return tmp_path / "checkpoint"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "tagged.txt"
    path.write_text(
        "\n".join(
            f"{first}/t {person[0]}/nr {person[1]}/nr {second}/v {place}/ns 。/w"
            for first in WORDS for person in PEOPLE for second in WORDS for place in PLACES
        )
    )  # fmt: skip
    return path


@pytest.fixture
def data(table, tmp_path):
    out = tmp_path / "data"
    out.mkdir()
    config = DataConfig(train=str(table), validation=0.2, test=0.2, format="tagged", block=4)
    prepare_data(config=config, task=TASK, out=out)
    return out


def test_a_head_of_its_own_rate_learns_from_states_that_hardly_differ(checkpoint, data, tmp_path):
    """As those of a sentence encoder do, whose words all have the sentence's meaning in the end."""
    model = BertModel.from_pretrained(checkpoint)
    with torch.no_grad():
        model.encoder.layer[-1].output.LayerNorm.weight.mul_(0.1)
    model.save_pretrained(checkpoint)
    training = replace(LEARNT, epochs=2, learning_rate=1e-3)
    found = {}
    for rate in (None, 3e-2):
        config = TeacherConfig(model=str(checkpoint), training=training, head_learning_rate=rate)
        summary = train_teacher(config=config, seed=0, data=data, out=tmp_path / f"teacher-{rate}")
        found[rate] = summary["validation_f1"]
    assert found[None] < 0.5 < 0.8 < found[3e-2]


def test_names_are_found_in_text_without_spaces(checkpoint, table, data, tmp_path):
    folders = {name: tmp_path / name for name in ("teacher", "trimmed", "exported")}
    for folder in folders.values():
        folder.mkdir()
    training = TeacherConfig(model=str(checkpoint), training=LEARNT)
    summary = train_teacher(config=training, seed=0, data=data, out=folders["teacher"])
    assert summary["validation_f1"] > 0.9
    trimmed = trim(
        config=TrimConfig(), data=data, examples=data, student=folders["teacher"],
        out=folders["trimmed"],
    )  # fmt: skip
    assert trimmed["tokens"] < trimmed["tokens_before"]
    assert trimmed["validation_texts_cut_as_before"] == 1.0
    export_onnx(data=data, model=folders["trimmed"], out=folders["exported"])
    labels = load_description(data).labels
    engine = Engine.from_onnx(folders["exported"], labels, TASK.max_length, kind=TASK.kind)
    texts = load_split(data, "test").texts
    expected = [(2, 4, "nr"), (6, 8, "ns")]
    assert [(one.start, one.end, one.label) for one in engine(texts[:1])[0].entities] == expected
    peer = PEERS[TASK.kind]
    theirs = peer.theirs(Asked(folders["trimmed"] / "model", TASK.max_length, texts))
    found = agreement(texts, [peer.ours(asdict(one)) for one in engine(texts)], theirs)
    assert found.same_answer == len(texts), found.others
    assert found.answers >= len(texts)
    # The same file is what `pocketbert eval --format tagged` reads.
    judged = Table(path=table, columns=ColumnsConfig(), file_format="tagged")
    quick = EvaluateConfig(resamples=100, latency_texts=2, latency_rounds=1)
    predictions, _ = measure_table(folders["trimmed"] / "model", judged, config=quick)
    assert score(predictions, quick).accuracy.value > 0.9

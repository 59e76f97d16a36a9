"""Tiny random models, exported, quantized and compiled once for all tests of this folder."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
)

from pocketbert.compress.bilstm import BilstmClassifier, BilstmModelConfig
from pocketbert.compress.data import load_description
from pocketbert.compress.relative_bias import as_bert
from pocketbert.compress.surgery import bert_layers, keep_heads, keep_neurons, widths_of
from pocketbert.compress.word_factors import factorise_words
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.export import export_onnx

SHAPE: dict[str, Any] = {
    "vocab_size": 300,  # large enough that its table counts as one
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,  # logits that differ from text to text
}


@pytest.fixture(scope="session")
def bert(tmp_path_factory, tiny_data: Path, vocabulary: list[str], to_int8):
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SHAPE))
    specials = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    root = tmp_path_factory.mktemp("bert")
    return _stages(root, tiny_data, model, vocabulary, specials, to_int8)


@pytest.fixture(scope="session")
def mpnet(tmp_path_factory, tiny_data: Path, vocabulary: list[str], to_int8):
    torch.manual_seed(0)
    model = MPNetForSequenceClassification(MPNetConfig(**SHAPE))
    words = ["<s>", "<pad>", "</s>", "<unk>", *vocabulary[5:]]
    specials = ("<s>", "</s>", "<pad>", "<unk>")
    root = tmp_path_factory.mktemp("mpnet")
    return _stages(root, tiny_data, model, words, specials, to_int8)


@pytest.fixture(scope="session")
def biased(tmp_path_factory, tiny_data: Path, vocabulary: list[str], to_int8):
    """An MPNet as a BERT, whose first layer lost a head and whose last lost neurons."""
    torch.manual_seed(0)
    model = as_bert(MPNetForSequenceClassification(MPNetConfig(**SHAPE)))
    keep_heads(bert_layers(model)[0], torch.tensor([0, 1, 3]))
    keep_neurons(bert_layers(model)[1], torch.arange(64))
    words = ["<s>", "<pad>", "</s>", "<unk>", *vocabulary[5:]]
    specials = ("<s>", "</s>", "<pad>", "<unk>")
    about = {"relative_buckets": 32, "widths": widths_of(model)}
    root = tmp_path_factory.mktemp("biased")
    return _stages(root, tiny_data, model, words, specials, to_int8, about)


@pytest.fixture(scope="session")
def bilstm(tmp_path_factory, tiny_data: Path, vocabulary: list[str], to_int8):
    torch.manual_seed(0)
    config = BilstmModelConfig(vocab_size=300, embedding_size=24, hidden_size=32, num_labels=2)
    model = BilstmClassifier(config)
    with torch.no_grad():
        model.classifier.weight.mul_(8)  # logits that differ from text to text
    specials = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    root = tmp_path_factory.mktemp("bilstm")
    return _stages(root, tiny_data, model, vocabulary, specials, to_int8)


@pytest.fixture(scope="session")
def factorised(tmp_path_factory, tiny_data: Path, vocabulary: list[str], to_int8):
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SHAPE))
    factorise_words(model, 24, torch.ones(300))
    specials = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    root = tmp_path_factory.mktemp("factorised")
    more = {"embedding_rank": 24}
    return _stages(root, tiny_data, model, vocabulary, specials, to_int8, more)


@pytest.fixture(scope="session")
def tensorrt_bundle(bert, tmp_path_factory):
    """INT8 for ONNX Runtime, INT8 and FP16 for TensorRT."""
    out = tmp_path_factory.mktemp("tensorrt")
    compile_bundle(
        out=out,
        config=CompileConfig(also=("tensorrt",)),
        data=bert.data,
        exported=bert.exported,
        quantized=bert.quantized,
        lineage={},
        name="tiny",
    )
    return out / "bundle"


def _stages(
    root: Path,
    data: Path,
    model,
    words: list[str],
    specials,
    to_int8,
    about: dict[str, Any] | None = None,
) -> SimpleNamespace:
    """Every stage's folder, as the pipeline would leave them."""
    stages = SimpleNamespace(root=root, data=data)
    for name in ("student", "exported", "quantized", "compiled"):
        setattr(stages, name, root / name)
        (root / name).mkdir()
    write_model_folder(stages.student / "model", data, model, words, specials, about or {})
    stages.export = export_onnx(out=stages.exported, data=data, model=stages.student)
    stages.quantize = to_int8(
        out=stages.quantized,
        config=QuantizeConfig(calibration_examples=32),
        data=data,
        exported=stages.exported,
    )
    stages.compile = compile_bundle(
        out=stages.compiled,
        config=CompileConfig(),
        data=data,
        exported=stages.exported,
        quantized=stages.quantized,
        lineage={"quantize": "0123456789ab"},
        name="tiny",
    )
    stages.bundle = stages.compiled / "bundle"
    return stages


def write_model_folder(
    folder: Path, data: Path, model, words: list[str], specials, more: dict[str, Any]
) -> None:
    with torch.no_grad():  # equal initial biases and norms would hide a mix-up
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    description = load_description(data)
    about = {"labels": list(description.labels), "max_length": description.max_length, "widths": []}
    (folder / "pocketbert.json").write_text(json.dumps(about | more))
    start, end, _, unknown = specials
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, numbers[start]), (end, numbers[end])],
    )
    tokenizer.enable_truncation(5)  # what the file says must not count
    tokenizer.enable_padding(pad_id=numbers[specials[2]], pad_token=specials[2], length=40)
    tokenizer.save(str(folder / "tokenizer.json"))

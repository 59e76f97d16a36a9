"""Tiny artifacts of every kind: a bag of words in ONNX, a bundle of it, a random BERT."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tokenizers
from onnx import TensorProto, helper, numpy_helper

from pocketbert.compress.data import load_split
from pocketbert.deploy.bundle import Manifest, Target, write_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.config import (
    EvaluateConfig,
    OfflineConfig,
    ScenariosConfig,
    ServerConfig,
    SingleStreamConfig,
)
from pocketbert.eval.evaluate import evaluate
from pocketbert.eval.load import measure_load
from pocketbert.eval.results import read_results, write_results

LABELS = ("bad", "good")
MAX_LENGTH = 32
CONFIG = EvaluateConfig(resamples=200, latency_texts=12, latency_rounds=3)
SCENARIOS = ScenariosConfig(
    single_stream=SingleStreamConfig(seconds=0.1),
    offline=OfflineConfig(seconds=0.1, batch_size=4),
    server=ServerConfig(latency_ms=1000, percentile=0.9, seconds=0.1),
)
BAD_WORDS = ("dull", "tedious", "clumsy", "awful", "bland", "lifeless", "messy", "boring")
GOOD_WORDS = ("bright", "moving", "lovely", "funny", "superb", "tender", "sharp", "gripping")


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory, vocabulary):
    """Right on every made-up review."""
    return _write_engine(tmp_path_factory.mktemp("exact"), vocabulary, known_words=8)


@pytest.fixture(scope="session")
def forgetful_folder(tmp_path_factory, vocabulary):
    """Knows half of the words that carry a label."""
    return _write_engine(tmp_path_factory.mktemp("forgetful"), vocabulary, known_words=4)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory, forgetful_folder):
    golden = tmp_path_factory.mktemp("golden") / "golden.json"
    golden.write_text("[]")
    model = forgetful_folder / "model.onnx"
    target = Target(
        name="onnxruntime",
        runtime="onnxruntime",
        path="onnxruntime/model.onnx",
        isa="any",
        precision="float32",
        threads=1,
        disabled_optimizers=(),
        bytes=model.stat().st_size,
        int8_matmuls=0,
        float_weight_matmuls=0,
    )
    manifest = Manifest(
        name="tiny",
        created="2026-01-01T00:00:00+00:00",
        task="text-classification",
        labels=LABELS,
        max_length=MAX_LENGTH,
        inputs=("input_ids", "attention_mask"),
        outputs=("logits",),
        targets=(target,),
        length_histogram=(0, 1),
        lineage={},
        measured={},
    )
    files = {
        "tokenizer.json": forgetful_folder / "tokenizer.json",
        "golden.json": golden,
        target.path: model,
    }
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(out, files, manifest)
    return out


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tiny_checkpoint):
    from pocketbert.compress.folder import (
        ModelDescription,
        load_checkpoint,
        load_tokenizer,
        save_model,
    )

    folder = tmp_path_factory.mktemp("model")
    model = load_checkpoint(tiny_checkpoint, LABELS)
    tokenizer = load_tokenizer(tiny_checkpoint)
    save_model(model, tokenizer, ModelDescription(LABELS, MAX_LENGTH), folder)
    return folder


@pytest.fixture(scope="session")
def artifacts(model_folder, onnx_folder, bundle_folder):
    model = str(model_folder)
    kinds = (
        ("teacher-pytorch", "Teacher, PyTorch", "model", model_folder),
        ("teacher-onnx", "Teacher, ONNX Runtime FP32", "onnx", onnx_folder),
        ("engine-int8", "Engine, INT8", "bundle", bundle_folder),
    )
    return [
        Artifact(name=name, title=title, kind=kind, folder=str(folder), model_folder=model)
        for name, title, kind, folder in kinds
    ]


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory, tiny_data, artifacts):
    """A finished evaluate stage."""
    out = tmp_path_factory.mktemp("evaluation")
    evaluate(
        out=out,
        config=CONFIG,
        data=tiny_data,
        artifacts=artifacts,
        teacher="teacher-pytorch",
        baseline_onnx="teacher-onnx",
        engine="engine-int8",
    )
    return out


@pytest.fixture(scope="session")
def under_load(tmp_path_factory, evaluation, artifacts, tiny_data):
    """The evaluation, its ONNX artifacts driven by LoadGen as well."""
    out = tmp_path_factory.mktemp("loaded")
    results, texts = read_results(evaluation), load_split(tiny_data, "test").texts
    about = (LABELS, MAX_LENGTH, SCENARIOS, 1, out / "load")
    loads = {one.name: measure_load(one, texts, *about) for one in artifacts if one.kind != "model"}
    loaded = tuple(replace(one, load=loads.get(one.artifact.name, ())) for one in results.artifacts)
    write_results(replace(results, artifacts=loaded), out)
    return out


@pytest.fixture(scope="session")
def friendly(tiny_checkpoint, tiny_data, tmp_path_factory):
    """An exported random model, and data whose labels are its own answers."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from pocketbert.compress.folder import ModelDescription, load_tokenizer, save_model
    from pocketbert.deploy.export import export_onnx

    root = tmp_path_factory.mktemp("friendly")
    torch.manual_seed(3)
    tokenizer = load_tokenizer(tiny_checkpoint)
    shape = {"num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64}
    config = BertConfig(
        vocab_size=300, hidden_size=64, intermediate_size=128, initializer_range=0.2, **shape
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(8)  # few texts near the border
    save_model(model, tokenizer, ModelDescription(LABELS, 32), root / "model")
    exported, data = root / "exported", root / "data"
    exported.mkdir()
    shutil.copytree(tiny_data, data)
    export_onnx(out=exported, data=data, model=root)
    texts = load_split(data, "validation").texts
    answers = Engine.from_onnx(exported, LABELS, 32).logits(texts).argmax(1).tolist()
    assert 10 < sum(answers) < len(answers) - 10
    rows = [json.dumps({"text": t, "label": a}) for t, a in zip(texts, answers, strict=True)]
    (data / "validation.jsonl").write_text("\n".join(rows))
    return exported, data


@pytest.fixture(scope="session")
def hostile(friendly, tmp_path_factory):
    """The same function with a channel 10,000 times as large in what two layers read."""
    from pocketbert.deploy.placement import quantizable_matmuls
    from pocketbert.deploy.smoothquant import smooth_layer_norms, smoothable

    folder = tmp_path_factory.mktemp("hostile")
    model = onnx.load(friendly[0] / "model.onnx")
    norms = [node.output[0] for node in smoothable(model)]
    channels = {name: np.ones(64, dtype=np.float32) for name in norms}
    for name in (norms[1], norms[2]):
        channels[name][5] = 1e-4
    planted = [
        tuple(node.name for node in quantizable_matmuls(model) if node.input[0] == name)
        for name in (norms[1], norms[2])
    ]
    smooth_layer_norms(model, channels, alpha=1.0)
    onnx.save(model, folder / "model.onnx")
    shutil.copy(friendly[0] / "tokenizer.json", folder)
    return folder, friendly[1], planted


def _write_engine(folder, vocabulary, known_words):
    vocab = {word: number for number, word in enumerate(vocabulary)}
    wordpiece = tokenizers.models.WordPiece(vocab, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(wordpiece)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    tokenizer.save(str(folder / "tokenizer.json"))

    table = np.zeros((len(vocab), 2), dtype=np.float32)
    for label, words in enumerate((BAD_WORDS, GOOD_WORDS)):
        for word in words[:known_words]:
            table[vocab[word], label] = 1
    onnx.save(_bag_of_words(table), folder / "model.onnx")
    return folder


def _bag_of_words(table):
    """Logits: the sum of the rows of all tokens that the mask keeps."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"])
        for name in ("input_ids", "attention_mask")
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.array([1]), "middle"),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "bag-of-words", inputs, [output], constants)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


@pytest.fixture
def copied(tmp_path):
    """Copies a folder so that a test may break it."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / folder.name))

    return copy

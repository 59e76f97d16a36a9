"""What all engines start from: weights, exported graphs, and texts as token ids."""

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from pocketbert.compress import folder as model_folder
from pocketbert.compress.data import load_description, load_split
from pocketbert.compress.folder import (
    ModelDescription,
    load_model,
    load_tokenizer,
    save_model,
)
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.graph import initializers, weight_matmuls
from pocketbert.deploy.macs import count_macs
from pocketbert.deploy.tokenizer import Tokenizer

SEED = 0
CALIBRATION_TEXTS, MIX_TEXTS = 300, 32
OPSET = 17
SERVED_LENGTH = 128  # what optimum's and Olive's examples pad to


def random_base(teacher: Path, data: Path, out: Path) -> Path:
    """A classifier of BERT-base's shape with seeded random weights and the teacher's tokenizer."""
    if not (out / "model" / "pocketbert.json").is_file():
        torch.manual_seed(SEED)
        tokenizer = load_tokenizer(teacher / "model")
        labels = load_description(data).labels
        config = BertConfig(vocab_size=len(tokenizer))
        config.num_labels = len(labels)
        model = AutoModelForSequenceClassification.from_config(config)
        out.mkdir(parents=True, exist_ok=True)
        save_model(model, tokenizer, ModelDescription(labels, SERVED_LENGTH), out / "model")
    return out


def make_source(stage: Path, data: Path, work: Path) -> dict[str, Any]:
    """Write what the engines of one model are made from, or find it written.

    A pruned model's layers differ in width, which no class of transformers loads: its peers start
    from the graph that pocketbert exports. The others start from the weights, or a plain export.
    """
    model = stage / "model"
    about = model_folder.load_description(model)
    pruned = bool(about.widths or about.hidden_size or about.embedding_rank)
    refuse_another_model(model.resolve(), work)
    exported = work / "exported"
    once(exported, lambda out: export_onnx(out=out, data=data, model=stage))
    if not pruned:
        once(work / "plain", lambda out: export_plain(model, out / "model.onnx"))
    once(work / "texts", lambda out: write_texts(model, data, out))
    return {
        "model": str(model.resolve()),
        "weights": None if pruned else str(model.resolve()),
        "exported": str(exported.resolve()),
        "onnx": str(((exported if pruned else work / "plain") / "model.onnx").resolve()),
        "calibration": str((work / "texts" / "calibration.json").resolve()),
    }


def refuse_another_model(model: Path, work: Path) -> None:
    """What is built already in this folder must be of this model."""
    note = work / "model.txt"
    work.mkdir(parents=True, exist_ok=True)
    if not note.is_file():
        note.write_text(f"{model}\n")
    elif (found := note.read_text().strip()) != str(model):
        raise SystemExit(f"{work} holds what was built of {found}, expected {model}; give --work")


def once(folder: Path, make: Any) -> None:
    """Make a folder under a temporary name, unless it is there."""
    if folder.is_dir():
        return
    temporary = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    make(temporary)
    temporary.rename(folder)


def export_plain(folder: Path, path: Path) -> None:
    """Export without any edit, by the exporter whose graphs ONNX Runtime fuses."""
    model = load_model(folder)
    model.set_attn_implementation("eager")
    model.config.return_dict = False
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones(2, 8, dtype=torch.int64)
    with warnings.catch_warnings():  # of tracing; agreement is measured
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, ids, torch.zeros_like(ids)),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "seq"} for name in names}
            | {"logits": {0: "batch"}},
        )


def write_texts(model: Path, data: Path, out: Path) -> None:
    """Write texts of the test split, and training texts for calibration, as token ids."""
    tokenizer = Tokenizer(model / "tokenizer.json", load_description(data).max_length)
    training = random.Random(SEED).sample(load_split(data, "train").texts, CALIBRATION_TEXTS)
    test = load_split(data, "test").texts
    for name, texts in (("calibration", training), ("test", test)):
        write_requests(out / f"{name}.json", [tokenizer.encode([text]) for text in texts])


def read(path: Path) -> list[dict[str, np.ndarray]]:
    found = json.loads(path.read_text())
    return [{name: np.array(ids, dtype=np.int64) for name, ids in one.items()} for one in found]


def write_requests(path: Path, requests: list[dict[str, np.ndarray]]) -> None:
    lists = [{name: ids.tolist() for name, ids in one.items()} for one in requests]
    path.write_text(json.dumps(lists))


def requests_of(point: str, texts: Path) -> Path:
    """Write the requests of a point: `1x128`, `mix`, `mix_padded`, or `first<N>` test texts.

    Fixed shapes are cut out of the test texts, one after the other; the mix is the same random
    texts for all, each at its own length or padded.
    """
    path = texts / f"{point}.json"
    if path.is_file():
        return path
    test = read(texts / "test.json")
    if point.startswith("first"):
        requests = test[: int(point.removeprefix("first"))]
    elif point.startswith("mix"):
        chosen = random.Random(SEED).sample(test, MIX_TEXTS)
        requests = [padded(one) for one in chosen] if point == "mix_padded" else chosen
    else:
        requests = [cut(test, *(int(number) for number in point.split("x")))]
    write_requests(path, requests)
    return path


def padded(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pad at the end with zeros, BERT's padding token and no attention."""
    missing = max(0, SERVED_LENGTH - inputs["input_ids"].shape[1])
    return {name: np.pad(ids, ((0, 0), (0, missing))) for name, ids in inputs.items()}


def cut(test: list[dict[str, np.ndarray]], batch: int, length: int) -> dict[str, np.ndarray]:
    """A batch of texts of exactly this length, each between the special tokens of the first."""
    first, last = test[0]["input_ids"][0, 0], test[0]["input_ids"][0, -1]
    words = np.concatenate([one["input_ids"][0, 1:-1] for one in test])[: batch * (length - 2)]
    ids = np.pad(words.reshape(batch, -1), ((0, 0), (1, 1)))
    ids[:, 0], ids[:, -1] = first, last
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def size_of(exported: Path, work: Path) -> dict[str, int]:
    """Products at 1x128, and how many numbers the matrices hold that they read."""
    once(
        work / "size", lambda out: (out / "size.json").write_text(json.dumps(count(exported, work)))
    )
    size: dict[str, int] = json.loads((work / "size" / "size.json").read_text())
    return size


def count(exported: Path, work: Path) -> dict[str, int]:
    graph = onnx.load_model(exported / "model.onnx")
    stored = initializers(graph)
    weights = [
        int(np.prod(stored[name].dims))
        for node in weight_matmuls(graph)
        for name in node.input
        if name in stored
    ]
    macs = count_macs(graph, read(requests_of("1x128", work / "texts"))[0])
    return {"macs": macs, "weights": sum(weights)}

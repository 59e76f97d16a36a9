"""Folders as the sentence-transformers library reads and writes them.

`modules.json` names what follows on the encoder, each with a folder of its own: pooling, perhaps a
dense layer, perhaps normalisation. The format is read and written here by itself, without the
library; a slow test compares both.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from .embedder import projects
from .errors import ModelError

MODULES = "modules.json"
POOLING, DENSE, NORMALIZE = "1_Pooling", "2_Dense", "3_Normalize"
# Flag in a pooling folder's config.json -> what `config.pooling` calls it.
POOLING_FLAGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
KNOWN = ("Transformer", "Pooling", "Dense", "Normalize")


@dataclass(frozen=True)
class Modules:
    """What follows on an encoder.

    Attributes:
        pooling: `mean` or `cls`.
        weight: Of a dense layer, if there is one. Shape: (width, hidden).
        bias: Of the same, if it has one. Shape: (width,).
    """

    pooling: str = "mean"
    weight: Tensor | None = None
    bias: Tensor | None = None


def read_modules(folder: Path) -> Modules | None:
    """Read what follows on the encoder of a folder, None if it does not say.

    Raises:
        ModelError: Something that these models have no place for.
    """
    if not (folder / MODULES).is_file():
        return None
    found: dict[str, Path] = {}
    for module in json.loads((folder / MODULES).read_text()):
        name = str(module["type"]).rpartition(".")[2]
        if name not in KNOWN or name in found:
            raise ModelError(
                f"{folder / MODULES} has the module {name}{' twice' if name in found else ''}, "
                f"expected each of {', '.join(KNOWN)} at most once; name another checkpoint"
            )
        found[name] = folder / module["path"]
    pooling = _pooling(found["Pooling"] / "config.json") if "Pooling" in found else "mean"
    return Modules(pooling, *(_dense(found["Dense"]) if "Dense" in found else ()))


def write_modules(model: Any, max_length: int, folder: Path) -> None:
    """Write, beside a saved embedder, what makes its folder one of sentence-transformers.

    Args:
        model: An embedder of the shape that its `config.json` says; the library knows no other.
        max_length: Longest input in tokens.
        folder: Holds the encoder and its tokenizer.
    """
    layer = model.classifier
    names = {"Transformer": "", "Pooling": POOLING}
    flags = {flag: model.config.pooling == name for flag, name in POOLING_FLAGS.items()}
    _write(
        folder / POOLING / "config.json",
        {"word_embedding_dimension": layer.in_features} | flags | {"include_prompt": True},
    )
    if projects(model):
        names["Dense"] = DENSE
        _write(
            folder / DENSE / "config.json",
            {
                "in_features": layer.in_features,
                "out_features": layer.out_features,
                "bias": True,
                "activation_function": "torch.nn.modules.linear.Identity",
            },
        )
        weights = {"linear.weight": layer.weight, "linear.bias": layer.bias}
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in weights.items()},
            folder / DENSE / "model.safetensors",
        )
    names["Normalize"] = NORMALIZE
    (folder / NORMALIZE).mkdir(exist_ok=True)
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (name, path) in enumerate(names.items())
    ]
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": max_length, "do_lower_case": False},
    )
    _write(folder / MODULES, modules)


def _pooling(path: Path) -> str:
    said = json.loads(path.read_text())
    modes = [name for name, value in said.items() if name.startswith("pooling_mode_") and value]
    if "pooling_mode" in said:  # how later releases of the library write it
        modes = [f"pooling_mode_{said['pooling_mode']}"]
    known = POOLING_FLAGS | {"pooling_mode_mean": "mean", "pooling_mode_cls": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise ModelError(
            f"{path} pools by {', '.join(modes) or 'nothing'}, expected the mean of the tokens or "
            "the first one; name another checkpoint"
        )
    return known[modes[0]]


def _dense(folder: Path) -> tuple[Tensor, Tensor | None]:
    said = json.loads((folder / "config.json").read_text())
    activation = str(said.get("activation_function", "torch.nn.modules.activation.Tanh"))
    if activation.rpartition(".")[2] != "Identity":
        raise ModelError(
            f"{folder} is a dense layer with {activation.rpartition('.')[2]}, expected one without "
            "(Identity); name another checkpoint"
        )
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder} holds no model.safetensors, expected safetensors weights of its dense "
            "layer; pickled ones are not loaded because they can run code"
        )
    weights = load_file(folder / "model.safetensors")
    return weights["linear.weight"], weights.get("linear.bias")


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")

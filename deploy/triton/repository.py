"""Writes a bundle as a model repository of Triton Inference Server: text in, labels out.

Four models: the tokenizer and the answer in Triton's Python backend, the engine in its ONNX Runtime
backend, and an ensemble of the three under the bundle's name. Schema of config.pbtxt:
https://github.com/triton-inference-server/common, `protobuf/model_config.proto`.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tokenizers

from pocketbert.compress.errors import BundleError, UserError

from ..bundle import TOKENIZER, Bundle, Target, read_bundle
from ..tokenizer import Tokenizer

MAX_BATCH = 64
CONFIG = "config.pbtxt"
VERSION = "1"
# What is read of a long text, and where the tokenizers library then cuts.
DIRECTIONS = {"head": "right", "tail": "left"}
# Files to copy, not modules to import: they import what only Triton has.
TOKENIZER_MODEL = Path(__file__).with_name("tokenizer_model.py")
ANSWER_MODEL = Path(__file__).with_name("answer_model.py")


def export_triton(bundle: Path, out: Path, target: str | None = None) -> Target:
    """Write a model repository; it appears under its name only when it is whole.

    Args:
        bundle: The bundle's folder.
        out: The repository's folder, which must not exist.
        target: Name of a target; by default the first that ONNX Runtime runs.

    Returns:
        The target whose model it holds.

    Raises:
        BundleError: The bundle is broken, or not one that fits.
        UserError: `out` exists.
    """
    verified = read_bundle(bundle)
    chosen = _choose(verified, target)
    if out.exists():
        raise UserError(f"{out} exists, expected a new folder; remove it or name another")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".triton-") as scratch:
        building = Path(scratch) / out.name
        _write_tokenizer(verified, building)
        _write_engine(verified, chosen, building)
        _write_answer(verified, building)
        _write_ensemble(verified, building)
        building.rename(out)
    return chosen


def _choose(bundle: Bundle, name: str | None) -> Target:
    manifest = bundle.manifest
    if manifest.task != "text-classification":
        raise BundleError(f"the bundle is for {manifest.task}, expected text-classification")
    if manifest.pairs:
        raise BundleError("the bundle reads pairs of texts, expected single texts")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", manifest.name):
        raise BundleError(
            f"the bundle is called {manifest.name!r}, expected letters, digits, '.', '_' and '-'; "
            "run its recipe under another name"
        )
    if manifest.truncation.keep not in DIRECTIONS:
        raise BundleError(
            f"the bundle reads {manifest.truncation.keep} of a long text, expected one of: "
            f"{', '.join(DIRECTIONS)}; run its recipe with another task.truncation"
        )
    for target in manifest.targets:
        if target.runtime == "onnxruntime" and name in (None, target.name):
            return target
    found = ", ".join(f"{target.name} ({target.runtime})" for target in manifest.targets)
    raise BundleError(
        f"the bundle has the targets {found}, expected {name or 'one'} of ONNX Runtime; compile "
        "with compile.also: [onnxruntime]"
    )


def _write_tokenizer(bundle: Bundle, root: Path) -> None:
    manifest = bundle.manifest
    name = f"{manifest.name}_tokenizer"
    inputs = _tensors("input", "TYPE_STRING", {"text": 1})
    outputs = _tensors("output", "TYPE_INT64", dict.fromkeys(manifest.inputs, -1))
    folder = _write_python(root, name, TOKENIZER_MODEL, inputs + outputs)
    source = bundle.root / TOKENIZER
    pad_id = Tokenizer(source, manifest.max_length).pad_id
    tokenizer = tokenizers.Tokenizer.from_file(str(source))
    direction = DIRECTIONS[manifest.truncation.keep]
    tokenizer.enable_truncation(manifest.max_length, direction=direction)
    tokenizer.enable_padding(pad_id=pad_id, pad_token=tokenizer.id_to_token(pad_id))
    tokenizer.save(str(folder / TOKENIZER))


def _write_engine(bundle: Bundle, target: Target, root: Path) -> None:
    manifest = bundle.manifest
    inputs = _tensors("input", "TYPE_INT64", dict.fromkeys(manifest.inputs, -1))
    outputs = _tensors("output", "TYPE_FP32", {"logits": len(manifest.labels)})
    body = (
        'backend: "onnxruntime"\n'
        + inputs
        + outputs
        + "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
        + "dynamic_batching { }\n"
        + _parameter("intra_op_thread_count", str(target.threads))
        + _parameter("inter_op_thread_count", "1")
    )
    folder = _write_config(root, f"{manifest.name}_engine", body)
    shutil.copyfile(bundle.root / target.path, folder / "model.onnx")


def _write_answer(bundle: Bundle, root: Path) -> None:
    labels = bundle.manifest.labels
    body = (
        _tensors("input", "TYPE_FP32", {"logits": len(labels)})
        + _answer_tensors(labels)
        + _parameter("labels", json.dumps(labels))
    )
    _write_python(root, f"{bundle.manifest.name}_answer", ANSWER_MODEL, body)


def _write_ensemble(bundle: Bundle, root: Path) -> None:
    name, inputs = bundle.manifest.name, bundle.manifest.inputs
    steps = [
        _step(f"{name}_tokenizer", ["text"], inputs),
        _step(f"{name}_engine", inputs, ["logits"]),
        _step(f"{name}_answer", ["logits"], ["label", "score", "probabilities"]),
    ]
    body = (
        'platform: "ensemble"\n'
        + _tensors("input", "TYPE_STRING", {"text": 1})
        + _answer_tensors(bundle.manifest.labels)
        + "ensemble_scheduling {\n"
        + "".join(steps)
        + "}\n"
    )
    _write_config(root, name, body)


def _write_python(root: Path, name: str, source: Path, body: str) -> Path:
    instances = "instance_group [ { kind: KIND_CPU count: 1 } ]\ndynamic_batching { }\n"
    folder = _write_config(root, name, 'backend: "python"\n' + body + instances)
    shutil.copyfile(source, folder / "model.py")
    return folder


def _write_config(root: Path, name: str, body: str) -> Path:
    """Write a model's configuration; return the folder of its one version."""
    version = root / name / VERSION
    version.mkdir(parents=True)
    text = f'name: "{name}"\nmax_batch_size: {MAX_BATCH}\n{body}'
    (root / name / CONFIG).write_text(text, encoding="utf-8")
    return version


def _answer_tensors(labels: Sequence[str]) -> str:
    numbers = _tensors("output", "TYPE_FP32", {"score": 1, "probabilities": len(labels)})
    return _tensors("output", "TYPE_STRING", {"label": 1}) + numbers


def _tensors(kind: str, data_type: str, sizes: dict[str, int]) -> str:
    """Declare tensors (batch, size)."""
    return "".join(
        f'{kind} {{ name: "{name}" data_type: {data_type} dims: [ {size} ] }}\n'
        for name, size in sizes.items()
    )


def _parameter(key: str, value: str) -> str:
    # What JSON escapes, protobuf's text format escapes alike.
    return f'parameters {{ key: "{key}" value: {{ string_value: {json.dumps(value)} }} }}\n'


def _step(model: str, inputs: Sequence[str], outputs: Sequence[str]) -> str:
    lines = [f'    model_name: "{model}"', "    model_version: -1"]
    lines += [f'    input_map {{ key: "{name}" value: "{name}" }}' for name in inputs]
    lines += [f'    output_map {{ key: "{name}" value: "{name}" }}' for name in outputs]
    return "\n".join(["  step {", *lines, "  }\n"])

"""Builds engines with TensorRT-RTX, which needs no GPU, and counts what they consist of.

    python benchmarks/rtx.py --stages runs/quickstart/stages

Built, not run: it shows which products became INT8 kernels and which attentions one kernel, for
the GPUs that TensorRT-RTX knows. It says nothing of speed, of a Jetson's kernels, or of accuracy.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, helper, numpy_helper
from report import RESULTS, environment, write_results
from transformers import BertConfig, BertForSequenceClassification

from pocketbert.compress.config import MIN_CHANNELS, TASK_KINDS
from pocketbert.compress.surgery import bert_layers, keep_heads, keep_neurons
from pocketbert.deploy.export import edited_graph
from pocketbert.deploy.graph import add_constant, drop_unused, initializers, weight_matmuls
from pocketbert.deploy.targets.tensorrt import count_matmuls, lower
from pocketbert.deploy.tensorrt_build import build_engine, import_tensorrt
from pocketbert.deploy.tensorrt_layers import read_layers
from pocketbert.deploy.tensorrt_profiles import Profile
from pocketbert.recipes.load import load_recipe

SHAPES = ("quickstart", "full-size", "bert-base")
CAPABILITIES = ("SM80", "SM86", "SM89")
PROFILE = Profile(min=(1, 1), opt=(1, 32), max=(4, 128))
RANDOM_RANGE = 4.0  # of every activation: what is built does not depend on it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stages", type=Path, required=True, help="stages of a quickstart run")
    parser.add_argument(
        "--shapes",
        nargs="+",
        choices=SHAPES,
        default=SHAPES,
        help="rows of others stay as they are",
    )
    options = parser.parse_args()
    trt = import_tensorrt("tensorrt_rtx")
    built = [
        build(trt, name, model, capability)
        for name, model in models(options.stages)
        if name.startswith(tuple(options.shapes))
        for capability in CAPABILITIES
    ]
    rows = [
        *built,
        *(row for row in earlier() if not row["model"].startswith(tuple(options.shapes))),
    ]
    write_results(
        "rtx",
        environment=environment()
        | {
            "what": "engines built with TensorRT-RTX, never run; build times on a shared machine",
            "tensorrt_rtx": trt.__version__,
            "profile": asdict(PROFILE),
        },
        rows=rows,
        bars=[
            bar(f"{shape}: most {what}", shape, rows, count, 0)
            for shape in ("full-size", "bert-base")
            for what, count in (
                ("float products beside the classifier", float_products),
                ("attentions not in one kernel", unfused),
            )
        ],
    )


def bar(
    name: str,
    shape: str,
    rows: list[dict[str, Any]],
    count: Callable[[dict[str, Any]], int],
    target: int,
) -> dict[str, Any]:
    """The worst GPU of a model with INT8 attention."""
    value = max(count(row) for row in rows if row["model"] == f"{shape}-int8-attention")
    return {"name": name, "value": value, "target": target, "holds": value <= target}


def float_products(row: dict[str, Any]) -> int:
    return int(row["float_gemms"] - row["float_weight_matmuls"])


def unfused(row: dict[str, Any]) -> int:
    return int(row["attentions"] - row["int8_attention"] - row["float_attention"])


def earlier() -> list[dict[str, Any]]:
    """The rows of an earlier run."""
    path = RESULTS / "rtx.json"
    return json.loads(path.read_text())["rows"] if path.is_file() else []


def build(trt: Any, name: str, model: ModelProto, capability: str) -> dict[str, Any]:
    start = time.perf_counter()
    built = build_engine(trt, model.SerializeToString(), (PROFILE,), compute_capability=capability)
    seconds = time.perf_counter() - start
    int8_matmuls, float_matmuls = count_matmuls(model)
    row = {
        "model": name,
        "compute_capability": capability,
        "int8_weight_matmuls": int8_matmuls,
        "float_weight_matmuls": float_matmuls,
        "attentions": sum(node.op_type == "Softmax" for node in model.graph.node),
        **asdict(read_layers(built.log)),
        "plan_bytes": len(built.plan),
        "build_seconds": round(seconds, 1),
        "measured_at": environment()["measured_at"],
    }
    print(row, flush=True)
    return row


def models(stages: Path) -> Iterator[tuple[str, ModelProto]]:
    """Name and lowered model of each row."""
    newest = max(stages.glob("quantize-*/model.onnx"), key=lambda path: path.stat().st_mtime)
    params = json.loads((newest.parent / "stage.json").read_text())["params"]
    paths = {
        "quickstart-int8": newest,
        "quickstart-float": stages / params["exported"] / "model.onnx",
    }
    for name, path in paths.items():
        model = onnx.load_model(path)
        lower(model, "float16")
        yield name, model
    for shape, make in (("full-size", full_size), ("bert-base", bert_base)):
        for kind in ("float", "int8", "int8-attention"):
            graph = traced(make())
            if kind != "float":
                quantize(graph, attention=kind == "int8-attention")
            lower(graph, "float16")
            yield f"{shape}-{kind}", graph


def bert_base() -> BertForSequenceClassification:
    """BERT-base with random weights."""
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig())


def full_size() -> BertForSequenceClassification:
    """Random weights in the shape of `sentiment_base`: MiniLM without the shares that it prunes."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    model = BertForSequenceClassification(config)
    recipe = load_recipe("sentiment_base", ()).prune
    assert recipe is not None
    heads = round(config.num_attention_heads * (1 - recipe.heads))
    neurons = round(config.intermediate_size * (1 - recipe.neurons) / 16) * 16
    for layer in bert_layers(model):
        keep_heads(layer, torch.arange(heads))
        keep_neurons(layer, torch.arange(neurons))
    return model


def traced(model: BertForSequenceClassification) -> ModelProto:
    """Export a model as the export stage does it."""
    model.set_attn_implementation("eager")
    ids = np.ones((2, 16), dtype=np.int64)
    example = {"input_ids": ids, "attention_mask": ids, "token_type_ids": np.zeros_like(ids)}
    return edited_graph(model, example, TASK_KINDS["text-classification"])[0]


def quantize(model: ModelProto, attention: bool) -> None:
    """Put Q/DQ before products with weights, and before those of attention if asked for."""
    weighted = {node.name for node in weight_matmuls(model, MIN_CHANNELS)}
    stored, done = initializers(model), dict[str, str]()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        is_weighted = node.name in weighted
        is_attention = node.op_type == "MatMul" and not stored.keys() & set(node.input)
        if is_weighted or (attention and is_attention):
            for position in (0,) if is_weighted else (0, 1):
                name = node.input[position]
                if name not in done:
                    done[name] = f"{name}_dequantized"
                    model.graph.node.extend(pair(model, name, done[name]))
                node.input[position] = done[name]
        if is_weighted:
            model.graph.node.append(int8_weight(model, node, stored[node.input[1]]))
        model.graph.node.append(node)
    drop_unused(model)


def pair(model: ModelProto, name: str, out: str) -> list[NodeProto]:
    scale, zero, between = f"{name}_scale", f"{name}_zero", f"{name}_int8"
    add_constant(model, scale, np.float32(RANDOM_RANGE / 127))
    add_constant(model, zero, np.int8(0))
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero], [between], f"{name}_q"),
        helper.make_node("DequantizeLinear", [between, scale, zero], [out], f"{name}_dq"),
    ]


def int8_weight(model: ModelProto, node: NodeProto, weight: onnx.TensorProto) -> NodeProto:
    values, name = numpy_helper.to_array(weight), weight.name
    scale = np.abs(values).max(axis=0) / 127
    names = [f"{name}_int8", f"{name}_scale", f"{name}_zero"]
    for one, value in zip(
        names,
        (np.rint(values / scale).astype(np.int8), scale, np.zeros(len(scale), dtype=np.int8)),
        strict=True,
    ):
        add_constant(model, one, value)
    node.input[1] = f"{name}_dequantized"
    return helper.make_node("DequantizeLinear", names, [node.input[1]], f"{name}_dq", axis=1)


if __name__ == "__main__":
    main()

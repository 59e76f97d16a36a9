"""Building the student: from the teacher's layers, from a checkpoint, or fresh; BERT or BiLSTM."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedModel

from .bilstm import build_bilstm
from .config import StudentConfig
from .errors import ModelError
from .fetch import fetch_model
from .folder import auto_class, load_checkpoint, load_model
from .layer_map import uniform_layers
from .relative_bias import as_bert
from .surgery import BertClassifier, bert_layers, keep_heads, keep_hidden, keep_layers, keep_neurons


def build_student(
    config: StudentConfig,
    teacher: Path,
    labels: tuple[str, ...],
    general: Path | None = None,
    kind: str = "text-classification",
) -> tuple[PreTrainedModel, Path]:
    """Return the untrained student and the folder that holds its tokenizer.

    Args:
        config: Where the student starts and how small it is.
        teacher: The teacher's model folder.
        labels: What the logits are called.
        general: The checkpoint that `init: general` starts from.
        kind: The kind of task.

    Raises:
        ModelError: The initial model is smaller than what is asked, or not BERT-shaped where the
            student is.
    """
    if config.init in ("teacher", "fresh"):
        folder, model = teacher, load_model(teacher)
    else:
        folder = general if general is not None else fetch_model(config.init)
        # A student's vectors are as long as its teacher's.
        width = AutoConfig.from_pretrained(teacher).num_labels
        model = load_checkpoint(folder, labels, kind, width)
    if config.bilstm is not None:
        words: Any = model.get_input_embeddings()
        table = words.weight.detach()
        return build_bilstm(config.bilstm, table, labels, config.init != "fresh"), folder
    return _shrunk_bert(config, model, kind), folder


def _shrunk_bert(config: StudentConfig, model: BertClassifier, kind: str) -> BertClassifier:
    model = as_bert(model)
    bert_layers(model)  # refuses what is not BERT-shaped before anything is changed
    assert config.layers is not None
    keep_layers(model, _chosen_layers(config.layers, model.config.num_hidden_layers))
    if config.hidden_size is not None:
        narrow_hidden(model, config.hidden_size)
    if config.intermediate_size is not None:
        narrow_feed_forward(model, config.intermediate_size)
    if config.init == "fresh":
        model = auto_class(kind).from_config(model.config)
    return model


def narrow_hidden(model: BertClassifier, hidden_size: int) -> None:
    """Keep the strongest dimensions of the residual stream and the strongest heads.

    A dimension's strength is the sum, over all LayerNorms, of how far it swings their output; the
    head size stays, so heads go in proportion.

    Raises:
        ModelError: The width is no multiple of the head size, or not smaller than now.
    """
    config = model.config
    head_size = config.hidden_size // config.num_attention_heads
    if hidden_size % head_size or not 0 < hidden_size < config.hidden_size:
        raise ModelError(
            f"student.hidden_size is {hidden_size}, expected a multiple of the head size "
            f"{head_size} below {config.hidden_size}"
        )
    layers = bert_layers(model)
    norms = [model.bert.embeddings.LayerNorm]
    norms += [
        block.LayerNorm for layer in layers for block in (layer.attention.output, layer.output)
    ]
    strength = torch.stack([norm.weight.detach().abs() for norm in norms]).sum(0)
    for layer in layers:
        out = layer.attention.output.dense.weight.detach()
        per_head = out.view(out.shape[0], -1, head_size).square().sum((0, 2))
        keep_heads(layer, _strongest(per_head, hidden_size // head_size))
    keep_hidden(model, _strongest(strength, hidden_size))
    config.hidden_size = hidden_size
    config.num_attention_heads = hidden_size // head_size


def narrow_feed_forward(model: BertClassifier, intermediate_size: int) -> None:
    """Keep in each layer the neurons with the largest product of incoming and outgoing weights.

    Raises:
        ModelError: The width is not smaller than now.
    """
    if not 0 < intermediate_size < model.config.intermediate_size:
        raise ModelError(
            f"student.intermediate_size is {intermediate_size}, expected a number below "
            f"{model.config.intermediate_size}"
        )
    for layer in bert_layers(model):
        incoming = layer.intermediate.dense.weight.detach().norm(dim=1)
        outgoing = layer.output.dense.weight.detach().norm(dim=0)
        keep_neurons(layer, _strongest(incoming * outgoing, intermediate_size))
    model.config.intermediate_size = intermediate_size


def _chosen_layers(asked: int | tuple[int, ...], available: int) -> tuple[int, ...]:
    if isinstance(asked, int):
        try:
            return tuple(uniform_layers(asked, available))
        except ValueError as error:
            raise ModelError(f"student.layers: {error}") from error
    if max(asked) >= available:
        raise ModelError(
            f"student.layers names layer {max(asked)}, expected layers 0 to {available - 1} of the "
            "initial model"
        )
    return asked


def _strongest(strength: Tensor, count: int) -> Tensor:
    return strength.topk(count).indices.sort().values

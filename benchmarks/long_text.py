"""What each way to read a long text costs and gives, by the length of the document.

    pocketbert run news_topics
    python benchmarks/long_text.py runs/news_topics

The INT8 engine of the run is bundled anew for every strategy of `task.truncation`, with the same
weights: they were trained on what the recipe reads, and the other strategies show them something
else. Accuracy is of all test documents, latency of some of each length, taking turns.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import environment, write_results

from pocketbert.compress.config import Truncation
from pocketbert.compress.data import load_description, load_split
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.eval.accuracy import predict
from pocketbert.eval.artifacts import Artifact
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.doctor.accuracy import stages_of_run
from pocketbert.eval.intervals import Interval, paired_difference, proportion
from pocketbert.eval.latency import choose_texts, measure_latency
from pocketbert.eval.token_lengths import token_lengths

STRATEGIES = ("head", "tail", "head+tail", "windows")
UNCUT = 10**6  # tokens
BOUNDS = (1, 2, 4, 6)  # times what is read at once
CONFIDENCE, RESAMPLES = 0.95, 2000
MOST_GROWTH = 1.5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path, help="folder of results of a finished run")
    options.add_argument("--texts", type=int, default=25, help="of each length, that are timed")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    stages = stages_of_run(chosen.run)
    description, test = load_description(stages["data"]), load_split(stages["data"], "test")
    tokens = token_lengths(stages["export-student"], test.texts, UNCUT)
    lengths = buckets(tokens, description.max_length)
    with tempfile.TemporaryDirectory() as scratch:
        bundles = {
            name: bundle(stages, name, description.max_length, Path(scratch) / name)
            for name in STRATEGIES
        }
        right = {name: correct(folder, test) for name, folder in bundles.items()}
        config = EvaluateConfig(latency_texts=chosen.texts, latency_rounds=chosen.rounds)
        rows = [
            row
            for length, inside in lengths.items()
            for row in rows_of(length, inside, right, latencies_ms(bundles, test, inside, config))
        ]
    whole = {name: of_all(right, name) for name in STRATEGIES}
    print_tables(rows, whole)
    write_results(
        "long_text",
        environment=environment(),
        trained_on=description.truncation.keep,
        max_length=description.max_length,
        tokens={"mean": float(tokens.mean()), "longest": int(tokens.max())},
        whole_test=whole,
        rows=rows,
        bars=bars(rows, right, lengths),
    )


def buckets(tokens: NDArray[np.int64], max_length: int) -> dict[str, NDArray[np.bool_]]:
    """Which documents have how many tokens; lengths that none has are left out."""
    found, low = {}, 0
    for bound in (*BOUNDS, None):
        high = tokens.max() if bound is None else bound * max_length
        name = f"over {low}" if bound is None else f"{low + 1} to {high}"
        inside = (tokens > low) & (tokens <= high)
        if inside.any():
            found[name] = inside
        low = high
    return found


def bundle(stages: dict[str, Path], strategy: str, max_length: int, scratch: Path) -> Path:
    """The run's INT8 engine, reading long texts in another way."""
    data = scratch / "data"
    shutil.copytree(stages["data"], data)
    about = json.loads((data / "data.json").read_text())
    about["truncation"] = asdict(truncation(strategy, max_length))
    (data / "data.json").write_text(json.dumps(about))
    compile_bundle(
        out=scratch,
        config=CompileConfig(),
        data=data,
        exported=stages.get("export-pruned", stages["export-student"]),
        quantized=stages["quantize"],
        lineage={},
        name=strategy,
    )
    return scratch / "bundle"


def truncation(strategy: Any, max_length: int) -> Truncation:
    overlap = max_length // 4 if strategy == "windows" else 0
    return Truncation(keep=strategy, window_overlap=overlap)


def correct(folder: Path, test: Any) -> NDArray[np.bool_]:
    """Which test documents an engine gets right."""
    logits = predict(Engine.open(folder), test.texts, test.labels, folder.parent.name)
    return np.asarray(logits.argmax(axis=1) == test.labels)


def latencies_ms(
    bundles: dict[str, Path], test: Any, inside: NDArray[np.bool_], config: EvaluateConfig
) -> dict[str, NDArray[np.float64]]:
    """Of some documents of a length, by strategy. Shape: (rounds, texts)."""
    of_length = [text for text, is_inside in zip(test.texts, inside, strict=True) if is_inside]
    artifacts = [
        Artifact(name=name, title=name, kind="bundle", folder=str(folder))
        for name, folder in bundles.items()
    ]
    texts = choose_texts(of_length, config.latency_texts)
    with tempfile.TemporaryDirectory() as logs:
        # A bundle carries labels, lengths and strategy itself.
        measured = measure_latency(artifacts, texts, (), 0, config, Path(logs))
    return {name: one.latencies_ms for name, one in measured.items()}


def rows_of(
    length: str,
    inside: NDArray[np.bool_],
    right: dict[str, NDArray[np.bool_]],
    times_ms: dict[str, NDArray[np.float64]],
) -> list[dict[str, Any]]:
    return [
        {
            "tokens": length,
            "documents": int(inside.sum()),
            "strategy": name,
            "accuracy": asdict(proportion(right[name][inside], CONFIDENCE)),
            "timed": times_ms[name].shape[1],
            "p50_ms": float(np.median(times_ms[name])),
            "p90_ms": float(np.percentile(times_ms[name], 90)),
            "p50_by_round_ms": np.median(times_ms[name], axis=1).tolist(),
        }
        for name in STRATEGIES
    ]


def of_all(right: dict[str, NDArray[np.bool_]], name: str) -> dict[str, Any]:
    """Accuracy on all test documents, and how far that is from reading the head alone."""
    to_head = paired_difference(right[name], right["head"], CONFIDENCE, RESAMPLES)
    accuracy: Interval = proportion(right[name], CONFIDENCE)
    return {"accuracy": asdict(accuracy), "minus_head": asdict(to_head)}


def print_tables(rows: list[dict[str, Any]], whole: dict[str, dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['tokens']:<12} {row['documents']:>4} documents  {row['strategy']:<10} "
            f"{told(row['accuracy'])}, p50 {row['p50_ms']:.2f} ms, p90 {row['p90_ms']:.2f} ms"
        )
    for name, found in whole.items():
        gain = found["minus_head"]
        print(
            f"all {name:<10} {told(found['accuracy'])}, minus head {100 * gain['value']:+.1f} "
            f"({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}) points"
        )


def told(accuracy: dict[str, float]) -> str:
    value, low, high = (100 * accuracy[end] for end in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def bars(
    rows: list[dict[str, Any]],
    right: dict[str, NDArray[np.bool_]],
    lengths: dict[str, NDArray[np.bool_]],
) -> list[dict[str, Any]]:
    """One read of a bounded length costs the same for any document; short ones are read alike."""
    found = []
    shortest = next(iter(lengths.values()))
    apart = sum(int((right[name] != right["head"])[shortest].sum()) for name in STRATEGIES)
    found.append(
        {
            "name": "short documents that the strategies answer differently",
            "value": apart,
            "target": "none",
            "holds": apart == 0,
        }
    )
    for name in ("head", "tail", "head+tail"):
        p50_ms = [row["p50_ms"] for row in rows if row["strategy"] == name][1:]
        growth = p50_ms[-1] / p50_ms[0]
        found.append(
            {
                "name": f"{name}: p50 of the longest documents over that of those just cut",
                "value": growth,
                "target": f"<= {MOST_GROWTH:g}",
                "holds": growth <= MOST_GROWTH,
            }
        )
    return found


if __name__ == "__main__":
    main()

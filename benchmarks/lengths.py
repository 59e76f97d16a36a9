"""What padding costs on the task's own lengths: own length, buckets, or all padded to the maximum.

    python benchmarks/lengths.py runs/quickstart/bundle --data runs/stages/data-*

Takes a bundle's targets (make one with `--set compile.target=auto` or `compile.also`), feeds each
the test texts one by one, tokenised before, in three ways that take turns. Buckets are those that
`deploy.buckets` chooses from the training texts' lengths.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import environment, write_results

from pocketbert.compress.data import load_split
from pocketbert.deploy.buckets import bucket_of, choose_buckets, padding_waste
from pocketbert.deploy.bundle import TOKENIZER, Manifest, Target, read_bundle
from pocketbert.deploy.engine import why_not_here
from pocketbert.deploy.runners import open_target
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.eval.latency import choose_texts

Inputs = Mapping[str, NDArray[np.int64]]
WARM_UP_ROUNDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data stage")
    parser.add_argument("--longest", type=int, default=128, help="tokens that all are padded to")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    manifest = bundle.manifest
    tokenizer = Tokenizer(options.bundle / TOKENIZER, manifest.max_length)
    texts = choose_texts(load_split(options.data, "test").texts, options.texts)
    encoded = [tokenizer.encode([text]) for text in texts]
    ways = {
        f"{target.name}: {way}": run
        for target in manifest.targets
        if why_not_here(options.bundle, target) is None
        for way, run in ways_of(target, options.bundle, manifest, options.longest).items()
    }
    mean_ms = timed(ways, encoded, options.rounds)
    rows = [row_of(name, mean_ms) for name in ways]
    for row in rows:
        print(f"{row['name']:<45} {row['mean_ms']:.3f} ms, {row['times_as_long']:.2f}x its fastest")
    buckets = choose_buckets(manifest.length_histogram)
    write_results(
        "lengths",
        environment=environment(),
        texts=len(texts),
        tokens_median=float(np.median([one["input_ids"].shape[1] for one in encoded])),
        buckets=buckets,
        padding_in_buckets=padding_waste(manifest.length_histogram, buckets),
        padding_to_longest=padding_waste(manifest.length_histogram, (options.longest,)),
        rows=rows,
        bars=[],
    )


def ways_of(
    target: Target, root: Path, manifest: Manifest, longest: int
) -> dict[str, Callable[[Inputs], Any]]:
    """The three ways of one target; a runtime that compiles for lengths is opened for each."""
    buckets = choose_buckets(manifest.length_histogram)
    lengths = {"own length": (), "buckets": buckets, f"padded to {longest}": (longest,)}
    if target.runtime == "openvino":
        return {
            way: open_target(root, replace(target, lengths=chosen), 1).run
            for way, chosen in lengths.items()
        }
    runner = open_target(root, target, 1)
    return {way: padding(runner.run, chosen) for way, chosen in lengths.items()}


def padding(run: Callable[[Inputs], Any], lengths: tuple[int, ...]) -> Callable[[Inputs], Any]:
    def padded(inputs: Inputs) -> Any:
        tokens = inputs["input_ids"].shape[1]
        more = (bucket_of(tokens, lengths) or tokens) - tokens
        return run({name: np.pad(array, ((0, 0), (0, more))) for name, array in inputs.items()})

    return padded if lengths else run


def timed(
    ways: Mapping[str, Callable[[Inputs], Any]], encoded: list[Inputs], rounds: int
) -> dict[str, NDArray[np.float64]]:
    """Mean latency of each round, by way. Shape: (rounds,)."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(WARM_UP_ROUNDS + rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            latencies_ms = []
            for inputs in encoded:
                started_ns = time.perf_counter_ns()
                ways[name](inputs)
                latencies_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
            if number >= WARM_UP_ROUNDS:
                found[name].append(float(np.mean(latencies_ms)))
    return {name: np.array(values) for name, values in found.items()}


def row_of(name: str, mean_ms: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    target = name.split(":")[0]
    same = {other: values for other, values in mean_ms.items() if other.startswith(f"{target}:")}
    fastest = min(same, key=lambda other: float(np.median(same[other])))
    return {
        "name": name,
        "mean_ms": float(np.median(mean_ms[name])),
        "times_as_long": float(np.median(mean_ms[name] / mean_ms[fastest])),
        "fastest": fastest,
        "mean_by_round_ms": mean_ms[name].tolist(),
    }


if __name__ == "__main__":
    main()

r"""Latency and label agreement beside other engines, all taking turns in one run.

    pocketbert run quickstart
    python benchmarks/engine_peers/setup.py runs/peers
    python benchmarks/engines.py --data runs/stages/data-* --teacher runs/stages/teacher-* \
        --student runs/stages/prune-* --peers runs/peers

Models are folders of finished stages; a third has the shape of BERT-base and random weights. Every
engine gets the same weights and token ids, no tokenizer is timed, and each runs in a process and an
environment of its own. `--ours MODEL/NAME=BUNDLE[:TARGET]`, any number of times, says which bundles
run; a model without one gets a bundle that is compiled here.

A model's figures at a thread count stay in the work folder and are not measured again, unless what
is asked changes or `--again` is given. `--prepare` does what needs no idle machine: it builds the
engines and compares their answers with PyTorch's; the next run finds that done and only times.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from engine_peers.contestants import PEERS, Contestant, contestants
from engine_peers.models import make_source, random_base, size_of
from engine_peers.race import compare_answers, race
from engine_peers.setup import ENVIRONMENTS
from engine_peers.verdict import bars, draw, summary
from report import RESULTS, environment, write_results

from pocketbert.eval.roofline import Peaks, least_ms, measure_peaks

POINTS = ("1x16", "1x32", "1x128", "1x384", "8x128", "mix")
MODELS = ("student", "teacher", "base")
NOTES = (
    "Times are from token ids in to logits out; tokenizers are not in them.",
    "A ratio is the median over rounds of the ratio of two engines' medians within a round, with a "
    "95 % bootstrap interval.",
    "The student is pruned: its peers start from the FP32 graph that pocketbert exports, with its "
    "edits; CTranslate2 cannot load it. The other models' peers start from the weights (PyTorch, "
    "optimum, Olive, CTranslate2) or a plain export without edits (ONNX Runtime FP32, OpenVINO).",
    "OpenVINO is compiled for the shape of each point, and for any shape on the mix. CTranslate2 "
    "has no classifier: numpy computes it. ONNX files run with ONNX Runtime's default options.",
    "Agreement is with PyTorch FP32: the share of test texts with the same label; with random "
    "weights the cosine of the logits.",
    "floor_ms is the least time at 1x128: all products at the fastest INT8 GEMM measured here, or "
    "streaming the INT8 weights if they are larger than the last cache.",
)


def main() -> None:
    options = parse()
    peaks = {} if options.prepare else {number: measure_peaks(number) for number in options.threads}
    for model in options.models:
        work = options.work / model
        source = make_source(stage_of(model, options), options.data, work)
        racers, missing = contestants(model, source, work, options)
        for name, why in missing.items():
            print(f"{model} without {name}: {why}", flush=True)
        size = size_of(Path(source["exported"]), work)
        texts = options.random_texts if model == "base" else options.agreement_texts
        asked = {"engines": {racer.name: racer.setup for racer in racers}, "texts": texts}
        for threads in options.threads:
            compare = partial(compare_answers, racers, threads, model == "base", texts, work)
            answers = kept(work / f"agreement-{threads}.json", asked, options.again, compare)
            if options.prepare:
                continue
            about = {"missing": missing, "size": size, "model": model, "threads": threads}
            measure = partial(time_engines, racers, answers, about, peaks[threads], work, options)
            timed = asked | {"points": list(options.points), "rounds": options.rounds}
            kept(work / f"race-{threads}.json", timed, options.again, measure)
        if not options.prepare:
            write(options)


def kept(
    path: Path, asked: dict[str, Any], again: bool, measure: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What was found before when the same was asked; else it is measured now, and kept."""
    if not again and path.is_file() and (before := read(path))["asked"] == asked:
        found: dict[str, Any] = before
        return found
    found = measure() | {"asked": asked}
    save(path, found)
    return found


def time_engines(
    racers: list[Contestant],
    answers: dict[str, Any],
    about: dict[str, Any],
    peaks: Peaks,
    work: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """All that is known of the engines of a model at a thread count."""
    found = race(racers, about["threads"], answers["failed"], work, options)
    found |= about | {"agreement": answers["agreement"]}
    found |= {"titles": {one.name: one.title for one in racers}}
    found |= {"roofline": asdict(peaks), "environment": environment()}
    macs = np.array(about["size"]["macs"], dtype=np.float64)
    return found | {"floor_ms": float(least_ms(peaks, macs, about["size"]["weights"], "int8"))}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data stage")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of a teacher stage")
    parser.add_argument("--student", type=Path, help="folder of the student's last stage")
    parser.add_argument("--peers", type=Path, help="where engine_peers/setup.py put them")
    parser.add_argument("--ours", type=bundle_of, action="append", default=[])
    parser.add_argument("--work", type=Path, default=Path("runs/engines"))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--engines", nargs="+", choices=[peer.name for peer in PEERS])
    parser.add_argument("--points", nargs="+", default=POINTS, help="BATCHxTOKENS, or mix")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--agreement-texts", type=int, default=1000)
    parser.add_argument("--random-texts", type=int, default=64, help="for random weights")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--prepare", action="store_true", help="all but the timing")
    parser.add_argument(
        "--name", default="engines", help="of the results; one a kind of machine, for they differ"
    )
    return parser.parse_args()


def bundle_of(text: str) -> dict[str, str]:
    """Read `MODEL/NAME=BUNDLE[:TARGET]`."""
    label, _, place = text.partition("=")
    model, _, name = label.partition("/")
    bundle, _, target = place.partition(":")
    if model not in MODELS or not name or not (Path(bundle) / "manifest.json").is_file():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not MODEL/NAME=BUNDLE[:TARGET] with a model of {', '.join(MODELS)} and "
            "the folder of a bundle"
        )
    return {"model": model, "name": name, "bundle": bundle, "target": target}


def stage_of(model: str, options: argparse.Namespace) -> Path:
    if model == "base":
        return random_base(options.teacher, options.data, options.work / "base" / "stage")
    stage: Path | None = getattr(options, model)
    if stage is None:
        raise SystemExit(f"--{model} is missing, expected its folder, or --models without {model}")
    return stage


def write(options: argparse.Namespace) -> None:
    """Write the results of all models measured so far; raw times go to a file of their own."""
    paths = [path for model in MODELS for path in (options.work / model).glob("race-*.json")]
    paths.sort(key=lambda path: (MODELS.index(path.parent.name), path.name))
    races = [read(path) for path in paths]
    raw = [{key: one[key] for key in ("model", "threads", "raw")} for one in races]
    save(RESULTS / f"{options.name}_raw.json", raw)
    draw(races, RESULTS / f"{options.name}.png")
    write_results(
        options.name,
        environment=environment(),
        peers=ENVIRONMENTS,
        notes=NOTES,
        races=[summary(one) for one in races],
        bars=[bar for one in races for bar in bars(one)],
    )


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def save(path: Path, content: Any) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(path)


if __name__ == "__main__":
    main()

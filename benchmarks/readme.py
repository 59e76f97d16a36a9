"""Write the figures of benchmarks/results/ into the READMEs, so that none is typed.

python benchmarks/readme.py
"""

import json
from pathlib import Path
from typing import Any

from report import RESULTS

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
TITLES = {
    "teacher-pytorch": "Teacher, PyTorch FP32",
    "teacher-onnx": "Teacher, ONNX Runtime FP32",
    "student-onnx": "Student, FP32",
    "pruned-onnx": "Student, pruned, FP32",
    "qat-onnx": "Student, pruned and trained in INT8, FP32",
    "trimmed-onnx": "Student, pruned and trimmed, FP32",
    "engine": "**Engine, INT8**",
}
SHOWN = {
    "quickstart": "a 6-layer MiniLM teacher, a pruned 3-layer student",
    "sentiment_base": "a 12-layer, 768-wide MPNet teacher, a pruned 6-layer student",
    "sentiment_reviews": "the same teacher and student, taught on sentences of other reviews",
    "sentiment_extreme": "the same teacher, a tiny 3-layer student with 192 numbers a word",
    "sentiment_bilstm": "the same teacher, a BiLSTM with self-attention",
}


def main() -> None:
    recipes = "".join(section(name, about) for name, about in SHOWN.items())
    write(ROOT / "README.md", recipes)
    write(ROOT / "compress/README.md", f"{distilled()}\n{transferred()}\n{seeded()}\n{pruned()}")
    write(ROOT / "deploy/README.md", f"{quantized()}\n{calibrated()}")


def write(path: Path, figures: str) -> None:
    """Put figures between the marks of a file."""
    text = path.read_text()
    before, after = text[: text.index(BEGIN)], text[text.rindex(END) + len(END) :]
    path.write_text(f"{before}{BEGIN}{figures}{END}{after}")


def where(results: dict[str, Any]) -> str:
    found = results["environment"]
    return f"{found['measured_at'][:10]}, {found['cpu']} with {found['instruction_sets'][-1]}"


def distilled() -> str:
    results = json.loads((RESULTS / "distill.json").read_text())
    lines = [
        f"**What each part of distillation buys** (`{results['command']}`, "
        f"{where(results)}): the quickstart's 6-layer teacher and a student of 2 layers with 384 "
        "neurons; test accuracy as an FP32 engine; over labels alone with the same seeds, interval "
        "over 2,162 test texts. Without a number of epochs it is 3; a part that begins with + "
        "comes on top of the soft targets.\n",
        "| learned from | accuracy, mean of seeds | seeds | over labels alone, points |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['accuracy']:.1%} | {len(row['accuracies'])} | "
        f"{over(row['over_baseline'])} |"
        for row in results["rows"]
    ]
    return "\n".join([*lines, ""])


def transferred() -> str:
    results = json.loads((RESULTS / "transfer.json").read_text())
    lines = [
        "**What texts, patience and initial weights buy** a student of the full-size teacher "
        f"(`{results['command']}`, {where(results)}; MiniLM cut to {results['layers']} "
        f"layers, {results['steps']:,} steps unless it says otherwise, one seed).\n",
        "| learned from | accuracy (95 % interval) | over the labelled texts, points |",
        "|---|---|---|",
    ]
    for row in results["rows"]:
        accuracy = row["accuracy"]
        lines.append(
            f"| {row['name']} | {accuracy['value']:.1%} ({accuracy['low']:.1%} to "
            f"{accuracy['high']:.1%}) | {over(row['over_baseline'])} |"
        )
    return "\n".join([*lines, ""])


def seeded() -> str:
    results = json.loads((RESULTS / "student_seeds_sentiment_reviews.json").read_text())
    titles = " | ".join(f"seed {seed}" for seed in results["seeds"])
    lines = [
        "**What the student's seed changes** in `sentiment_reviews` "
        f"(`{results['command']}`, {where(results)}): one teacher, the same texts; share of the "
        "teacher's accuracy that is kept.\n",
        f"| | {titles} | mean (95 % interval over the test texts) |",
        "|---" * (len(results["seeds"]) + 2) + "|",
    ]
    for row in results["rows"]:
        each = " | ".join(f"{one:.1%}" for one in row["retention_of_each_seed"])
        kept = row["retention"]
        lines.append(
            f"| {TITLES[row['name']]} | {each} | {kept['value']:.1%} ({kept['low']:.1%} to "
            f"{kept['high']:.1%}) |"
        )
    return "\n".join([*lines, ""])


def pruned() -> str:
    results = json.loads((RESULTS / "prune.json").read_text())
    whole = results["unpruned_accuracy"]["value"]
    lines = [
        f"**What pruning costs** (`{results['command']}`, {where(results)}, 1 thread): the "
        f"quickstart's 6-layer teacher ({whole:.1%} of 2,162 test texts as an FP32 engine), "
        "asked for a speed-up by the latency table; 256 texts for importance and reconstruction; "
        "one seed; without training but for the rows that say recovered.\n",
        "| asked | steps | reconstruction | of the unpruned accuracy (95 % interval) | encoder, "
        "measured |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        kept = row["retention"]
        how = row["reconstruction"].replace("_", " ") + (", recovered" if row["recovered"] else "")
        lines.append(
            f"| {row['speedup']:g}x | {row['steps']} | {how} | {kept['value']:.1%} "
            f"({kept['low']:.1%} to {kept['high']:.1%}) | {row['encoder_speedup']:.2f}x |"
        )
    return "\n".join([*lines, ""])


def quantized() -> str:
    results = json.loads((RESULTS / "int8.json").read_text())
    guard = results["guard"]
    went = guard["layers"] - guard["returned"]
    lines = [
        f"**What each way to INT8 costs and buys** (`{results['command']}`, {where(results)}, "
        "1 thread, batch 1, tokenizer included): the quickstart's pruned student, 2,162 test "
        "texts; below it the same function with two channels of LayerNorms 300 times as large. "
        f"There the guard left {went} of {guard['layers']} layers in INT8, at "
        f"{guard['p50_ratio_to_int8']:.2f} times the median latency of all in INT8. "
        "The machine was shared: ratios that differ by less than 10 % are alike.\n",
        "| quantize | accuracy (95 % interval) | label of the float model | model | p50 of FP32 "
        "divided by its own |",
        "|---|---|---|---|---|",
    ]
    for title, rows in results["tables"].items():
        lines.append(f"| **{title}** | | | | |")
        for row in rows:
            accuracy = row["accuracy"]
            lines.append(
                f"| {row['name']} | {accuracy['value']:.1%} ({accuracy['low']:.1%} to "
                f"{accuracy['high']:.1%}) | {row['agreement']:.1%} | {row['bytes'] / 1e6:.1f} MB | "
                f"{row['times_as_fast']:.2f} |"
            )
    return "\n".join([*lines, ""])


def calibrated() -> str:
    results = json.loads((RESULTS / "calibration.json").read_text())
    seconds = results["ranges"]["seconds"]
    opened = results["opened"]["peak_bytes"] - results["opened"]["before_bytes"]
    opened -= results["model_bytes"]
    chosen = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    return (
        f"**What calibration costs** (`python benchmarks/calibration.py`, {where(results)}, 1 "
        f"thread, load {results['environment']['load_average']:.0f}): BERT-base, "
        f"{results['examples']} texts of up to 128 tokens, {results['calibrated']['tensors']} "
        f"activations: {results['calibrated']['seconds']:.0f} s and, above the model's "
        f"{results['model_bytes'] / 2**20:.0f} MiB, "
        f"{results['peak_above_model_bytes'] / 2**20:.0f} MiB at the peak ({opened / 2**20:.0f} "
        f"MiB for opening the model alone). Choosing all ranges then takes: {chosen}.\n"
    )


def over(difference: dict[str, float]) -> str:
    value, low, high = (100 * difference[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def section(name: str, about: str) -> str:
    results = json.loads((RESULTS / f"recipe_{name}.json").read_text())
    run, machine = results["runs"][0], results["environment"]
    low, high = run["retention_interval"]
    missed = [
        f"{bar['name']} is {bar['value']:.3g} (target {bar['target']})"
        for bar in results["bars"]
        if not bar["holds"]
    ]
    return f"""\
**`pocketbert run {name}`**: {about}. Measured {machine["measured_at"][:10]} on {machine["cpus"]}
cores of {machine["cpu"]} ({", ".join(machine["instruction_sets"])}; shared and noisy), 1 thread,
batch 1, text in to label out. The engine keeps **{run["retention"]:.1%}** of the teacher's accuracy
(95 % interval {low:.1%} to {high:.1%}{seeds(results)}), answers
**{run["p50_ratio_pytorch"]:.1f} times** as fast as the teacher in PyTorch and
**{run["p50_ratio_onnxruntime"]:.1f} times** as fast as in ONNX Runtime, both FP32, and is
**{run["size_ratio"]:.1f} times** smaller. INT8 gives the unquantized student's label on
{run["int8_agreement"]:.1%} of the test texts. {cost(run)}
{"All bars hold" if not missed else "Missed: " + "; ".join(missed)}.

{table(run["artifacts"])}

"""


def cost(run: dict[str, Any]) -> str:
    if "command_s" not in run:
        return (
            f"Its stages took {run['wall_s'] / 60:.0f} minutes in all, with everything downloaded."
        )
    return (
        f"The run took {run['command_s'] / 60:.0f} minutes with everything downloaded, and "
        f"{run['peak_bytes'] / 1e9:.1f} GB of memory at its peak."
    )


def seeds(results: dict[str, Any]) -> str:
    if len(results["runs"]) == 1:
        return ""
    spread = results["retention"]
    return f"; {spread['lowest']:.1%} to {spread['highest']:.1%} over {len(results['runs'])} seeds"


def table(artifacts: dict[str, Any]) -> str:
    lines = [
        "| artifact | accuracy (95 % interval) | p50 | p99 | weights | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in artifacts.items():
        accuracy = one["accuracy"]
        lines.append(
            f"| {TITLES[name]} | {accuracy['value']:.1%} ({accuracy['low']:.1%} to "
            f"{accuracy['high']:.1%}) | {one['p50_ms']:.3g} ms | {one['p99_ms']:.3g} ms | "
            f"{one['weights_bytes'] / 1e6:.1f} MB | {one['peak_bytes'] / 1e6:.0f} MB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
